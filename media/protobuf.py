"""Reads the fields of protocol buffer messages; no schema, no library."""

import struct
from collections.abc import Iterator


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield (number, value) of each field: a varint as int, a 32-bit float as float, all else as bytes.

    Args:
        message: an encoded message; nested messages are read by another call.

    Raises:
        ValueError: a wire type that proto3 does not have.
        IndexError, struct.error: the message ends within a field.

    Source: protobuf.dev, "Encoding", "Message Structure".
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number = tag >> 3
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield number, value
            case 1:
                yield number, message[at : at + 8]
                at += 8
            case 2:
                length, at = _varint(message, at)
                yield number, message[at : at + length]
                at += length
            case 5:
                yield number, float(struct.unpack_from("<f", message, at)[0])
                at += 4
            case kind:
                raise ValueError(f"unexpected wire type {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
