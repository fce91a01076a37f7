"""The commands of the project, each with --help. The packages contain the modules that the commands run."""
