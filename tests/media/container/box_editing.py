"""Edits the boxes of MP4 and QuickTime files in ways that no muxer offers, including wrong lengths."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

CONTAINERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"}


def box(kind: bytes, payload: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


@dataclass
class Node:
    """One box of a file, with its children when it has some."""

    kind: bytes
    payload: bytes
    children: list["Node"]

    def find(self, *path: bytes) -> "Node":
        """Return the first box at a path."""
        node = self
        for kind in path:
            node = next(child for child in node.children if child.kind == kind)
        return node

    def all(self, kind: bytes) -> Iterator["Node"]:
        """Yield all descendants of a type."""
        for child in self.children:
            if child.kind == kind:
                yield child
            yield from child.all(kind)

    def to_bytes(self) -> bytes:
        """Return the box as bytes."""
        return box(self.kind, b"".join(child.to_bytes() for child in self.children) if self.children else self.payload)


def parsed(data: bytes) -> list[Node]:
    """Return the boxes of a well-formed file or payload."""
    nodes, at = [], 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        length = length or len(data) - at
        payload = data[at + head : at + length]
        nodes.append(Node(kind, payload, parsed(payload) if kind in CONTAINERS else []))
        at += length
    return nodes


def joined(nodes: Sequence[Node]) -> bytes:
    """Return boxes as bytes, one after the other."""
    return b"".join(node.to_bytes() for node in nodes)


def shifted(nodes: Sequence[Node], by: int) -> None:
    """Add a number to the chunk offsets in an index."""
    for top in nodes:
        for kind, form in ((b"stco", ">I"), (b"co64", ">Q")):
            for table in top.all(kind):
                offsets = [offset + by for (offset,) in struct.iter_unpack(form, table.payload[8:])]
                table.payload = table.payload[:8] + b"".join(struct.pack(form, offset) for offset in offsets)


def prefixed(data: bytes, prefix: bytes) -> bytes:
    """Put boxes before a file."""
    nodes = parsed(data)
    shifted(nodes, len(prefix))
    return prefix + joined(nodes)


def index_first(data: bytes) -> bytes:
    """Move the index before the media data, as for streaming."""
    nodes = parsed(data)
    index = next(node for node in nodes if node.kind == b"moov")
    rest = [node for node in nodes if node is not index]
    at = 1 if rest[0].kind == b"ftyp" else 0
    shifted([index], len(index.to_bytes()))
    return joined([*rest[:at], index, *rest[at:]])


def with_edits(data: bytes, entries: Callable[[int, int], Sequence[tuple[int, int, int]]], version: int = 0) -> bytes:
    """Give every track an edit list.

    Args:
        data: a file with its index at the end.
        entries: duration in the movie's time scale, media time, rate; called with the track's time scale and the time
            of its first sample.
        version: of the box.
    """
    nodes = parsed(data)
    form = ">qqhh" if version else ">Iihh"
    for track in next(node for node in nodes if node.kind == b"moov").all(b"trak"):
        scale = int.from_bytes(track.find(b"mdia", b"mdhd").payload[12:16])
        offsets = next(track.all(b"ctts"), None)
        rows = entries(scale, int.from_bytes(offsets.payload[12:16], signed=True) if offsets else 0)
        packed = b"".join(struct.pack(form, *row, 0) for row in rows)
        elst = Node(b"elst", struct.pack(">BxxxI", version, len(rows)) + packed, [])
        track.children = [child for child in track.children if child.kind != b"edts"]
        track.children.insert(1, Node(b"edts", b"", [elst]))
    return joined(nodes)


def movie_scale(data: bytes) -> int:
    """Return the movie's time scale."""
    return int.from_bytes(next(n for n in parsed(data) if n.kind == b"moov").find(b"mvhd").payload[12:16])


def media_data_says(data: bytes, length: Callable[[int], int]) -> bytes:
    """Write another length into the first mdat's header: 0 means to the end of the file."""
    at = data.index(b"mdat") - 4
    own = int.from_bytes(data[at : at + 4])
    return data[:at] + struct.pack(">I", length(own)) + data[at + 4 :]
