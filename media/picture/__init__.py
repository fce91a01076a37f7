"""Conversion of decoded frames: orientation, size, colour and interlacing."""
