"""Everything one can do, each a command with --help. The modules are what the commands of the same folder run."""
