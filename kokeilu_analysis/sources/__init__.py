"""What came in: facts, statistics, returns; typed, checked, one tidy panel."""
