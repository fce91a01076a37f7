"""Recovery: files without a database record, missing files, and work past its deadline."""
