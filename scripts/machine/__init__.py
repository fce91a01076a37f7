"""The processes of one production machine, and commands for its operator."""
