"""The stages of media work: each is a function that a child process runs."""
