"""Video in, video out: the workshop that runs in child processes; this module imports nothing on purpose."""
