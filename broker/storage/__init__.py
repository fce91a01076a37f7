"""The storage of the broker: SQL and files. No threads."""
