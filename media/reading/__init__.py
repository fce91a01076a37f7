"""Reading an upload: opening it, its facts, its tracks, and its frames and sound on one clock."""
