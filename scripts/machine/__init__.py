"""The processes of one machine, and commands for its operator."""
