"""What can be concluded: pure functions, frames in and frames out."""
