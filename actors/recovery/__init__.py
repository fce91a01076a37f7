"""Recovery of uploads whose record in the database is lost."""
