"""Power cuts: system calls are recorded, played to a simulated disk, and cut off at any moment."""
