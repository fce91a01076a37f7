"""Training of the network that `media.gaze` carries: eyes drawn in large numbers, and a command to learn from them."""
