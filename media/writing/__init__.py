"""Writing the platform master of a part, its cover and its preview."""
