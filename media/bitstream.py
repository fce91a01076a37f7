"""Reads the few fields of coded video that tell a picture's form before it is decoded.

Parameter sets, their order, and the size in headers; nothing of the picture itself.
"""

from collections.abc import Iterator

SETS = {7, 8, 13, 15}  # H.264's parameter sets (ITU-T H.264, table 7-1): sequence, picture, extension, subset
SETS_HEVC = {32, 33, 34}  # video, sequence and picture parameter sets (ITU-T H.265, table 7-1)
SEI_H264, SEI_HEVC = {6}, {39}
SEI_DISPLAY_ORIENTATION = 47  # ITU-T H.264, D.1.27; H.265, D.2.17
SLICES_H264 = range(1, 6)
LEAST_HEADER = 7  # bytes of an `avcC` box before its parameter sets
# Profiles whose sequence parameter set also tells chroma format and bit depth (ITU-T H.264, 7.3.2.1.1).
HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


class Bits:
    """A reader of single bits, the highest of a byte first.

    Raises (while reading):
        EOFError: there are no more.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def read(self, bits: int) -> int:
        """Return the next bits as a number."""
        if bits > self._left:
            raise EOFError
        self._left -= bits
        return (self._value >> self._left) & ((1 << bits) - 1)

    def ue(self) -> int:
        """Return an unsigned Exp-Golomb number (ITU-T H.264, 9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        """Return a signed Exp-Golomb number (ITU-T H.264, 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def units(data: memoryview, width: int) -> Iterator[memoryview]:
    """Give the NAL units of a packet whose units have their length in front (ISO/IEC 14496-15, 5.3.3).

    Args:
        data: the packet.
        width: bytes of a length, 1 to 4.
    """
    place = 0
    while place + width < len(data):
        begins = place + width
        place = begins + int.from_bytes(data[place:begins])
        yield data[begins : max(place, begins + 1)]


def messages(note: bytes) -> Iterator[tuple[int, bytes]]:
    """Give kind and payload of the messages in an SEI unit without its header (ITU-T H.264, 7.3.2.3.1)."""
    rest = plain(note)
    while len(rest) > 2:  # what ends the unit is one byte
        numbers = []
        for _ in ("kind", "size"):
            steps = len(rest) - len(rest.lstrip(b"\xff"))
            if steps >= len(rest):
                return
            numbers.append(255 * steps + rest[steps])
            rest = rest[steps + 1 :]
        kind, size = numbers
        yield kind, rest[:size]
        rest = rest[size:]


def plain(unit: bytes) -> bytes:
    """Return a NAL unit without its emulation prevention bytes (ITU-T H.264, 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def length_width(codec: str, head: bytes | None) -> int | None:
    """Return how many bytes a NAL unit's length takes in a stream; None when it is not stored with lengths."""
    if head is None or len(head) <= LEAST_HEADER or head[0] != 1:
        return None
    if codec == "hevc":
        return (head[21] & 3) + 1 if len(head) > 22 else None
    return (head[4] & 3) + 1


def sets_of_avcc(head: bytes) -> list[bytes]:
    """Return the parameter sets that an `avcC` box holds (ISO/IEC 14496-15, 5.3.3.1)."""
    found: list[bytes] = []
    place = 5
    for mask in (31, 255):
        count, place = (head[place] & mask if place < len(head) else 0), place + 1
        for _ in range(count):
            size = int.from_bytes(head[place : place + 2])
            found.append(bytes(head[place + 2 : place + 2 + size]))
            place += 2 + size
    return found


def frames_only(sps: bytes) -> bool:
    """Say whether an H.264 sequence parameter set allows no interlaced pictures (7.3.2.1.1, frame_mbs_only_flag)."""
    bits = Bits(plain(sps)[1:])
    try:
        profile = bits.read(24) >> 16
        bits.ue()
        if profile in HIGH_PROFILES:
            _skip_high(bits)
        bits.ue()
        _skip_order(bits)
        bits.ue()
        bits.read(1)
        bits.ue()
        bits.ue()
        return bool(bits.read(1))
    except EOFError:
        return False


def _skip_high(bits: Bits) -> None:
    chroma = bits.ue()
    if chroma == 3:
        bits.read(1)
    bits.ue()
    bits.ue()
    bits.read(1)
    if bits.read(1):
        for number in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_list(bits, 16 if number < 6 else 64)


def _skip_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order(bits: Bits) -> None:
    """Pass over how pictures are ordered (ITU-T H.264, 7.3.2.1.1, pic_order_cnt_type)."""
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.read(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def form_of(codec: str, data: memoryview, width: int | None) -> bytes:
    """Return the part of a key frame's packet that fixes size and orientation; equal parts mean equal forms.

    Empty where the codec is not known here, or the form is told in the stream's header only.

    Args:
        codec: libav's name.
        data: the packet.
        width: what `length_width` told.
    """
    if codec in {"h264", "hevc"}:
        return _form_of_units(codec, data, width)
    if codec == "vp8":
        return bytes(data[6:10])  # width and height with their scaling (RFC 6386, 9.1)
    if codec == "vp9":
        return bytes(data[:9])  # up to the size, whatever the profile (VP9 specification, 6.2)
    if codec == "prores":
        return bytes(data[16:20])  # width and height (SMPTE RDD 36, 5.1)
    if codec == "mjpeg":
        return _form_of_jpeg(data)
    if codec in {"av1", "libdav1d"}:
        return _form_of_av1(data)
    return b""


def _form_of_units(codec: str, data: memoryview, width: int | None) -> bytes:
    form = b""
    for unit in _any_units(data, width):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in (SETS if codec == "h264" else SETS_HEVC):
            form += bytes(unit)
        elif kind in (SEI_H264 if codec == "h264" else SEI_HEVC):
            note = bytes(unit[1 if codec == "h264" else 2 :])
            form += b"".join(payload for kind, payload in messages(note) if kind == SEI_DISPLAY_ORIENTATION)
        elif (codec == "h264" and kind in SLICES_H264) or (codec == "hevc" and kind < 32):
            return form + _picture_set(codec, kind, bytes(unit[:24]))
    return form


def _any_units(data: memoryview, width: int | None) -> Iterator[memoryview]:
    if width is not None:
        yield from units(data, width)
        return
    # With start codes (ITU-T H.264, annex B); parameter sets come first.
    for unit in bytes(data[:4096]).split(b"\0\0\1")[1:]:
        if unit:
            yield memoryview(unit)


def _picture_set(codec: str, kind: int, slice_head: bytes) -> bytes:
    """Return which picture parameter set a slice uses: of several that a stream has, each may mean another size."""
    try:
        if codec == "h264":
            bits = Bits(plain(slice_head)[1:])
            bits.ue()
            bits.ue()
        else:
            bits = Bits(plain(slice_head)[2:])
            bits.read(2 if kind >= 16 else 1)
        return b"%d" % bits.ue()
    except EOFError:
        return b""


def _form_of_jpeg(data: memoryview) -> bytes:
    """Return height and width of a JPEG picture (ITU-T T.81, B.2.2)."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:
            return bytes(data[place + 5 : place + 9])
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return b""


def _form_of_av1(data: memoryview) -> bytes:
    """Return the sequence header of a key frame (AV1 specification, 5.3: its type is 1)."""
    place = 0
    while place < len(data):
        head = data[place]
        place += 2 if head & 4 else 1
        size = shift = 0
        while head & 2 and place < len(data):
            size |= (data[place] & 127) << shift
            shift += 7
            place += 1
            if not data[place - 1] & 128:
                break
        if head >> 3 & 15 == 1:
            return bytes(data[place : place + size])
        if not head & 2:
            return b""
        place += size
    return b""


def vp9_new_size(data: memoryview) -> tuple[int, int] | None:
    """Return the size that a VP9 picture tells which is no key frame; None when it takes one from before.

    Browsers change the size of a call without a key frame (VP9 specification, 6.2 and 7.2.5).
    """
    bits = Bits(bytes(data[:24]))
    try:
        marker, low, high = bits.read(2), bits.read(1), bits.read(1)
        if marker != 2 or (low + 2 * high == 3 and bits.read(1)) or bits.read(1):
            return None
        is_inter, shown, resilient = bits.read(1), bits.read(1), bits.read(1)
        if not is_inter or not shown:
            return None
        if not resilient:
            bits.read(2)
        bits.read(8 + 3 * 4)
        if any(bits.read(1) for _ in range(3)):
            return None
        return bits.read(16) + 1, bits.read(16) + 1
    except EOFError:
        return None
