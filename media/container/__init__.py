"""Readers of container structure: ISO-BMFF, Matroska and the headers of coded video. No decoding."""
