"""Child processes for media work: their start, their limits, and their files."""
