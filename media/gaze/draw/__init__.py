"""Drawing a moved eye into a picture."""
