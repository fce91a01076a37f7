"""Running VidProd on a developer's machine with mock platforms."""
