"""What goes out: figures, tables and words over result rows."""
