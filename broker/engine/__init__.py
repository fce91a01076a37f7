"""The engine of the broker: threads and processes around one writer."""
