"""Drawing of a moved eye into the frame: maps for skin and eyeball, glints and spectacle rims."""
