"""Reads the size, orientation and interlacing of coded video from its headers, without decoding."""

from collections.abc import Iterator

# NAL unit types (ITU-T H.264, table 7-1: sequence, picture, extension and subset; ITU-T H.265, table 7-1).
PARAMETER_SETS_H264 = {7, 8, 13, 15}
PARAMETER_SETS_HEVC = {32, 33, 34}  # video, sequence, picture
SEI_H264, SEI_HEVC = {6}, {39}
SEI_DISPLAY_ORIENTATION = 47  # ITU-T H.264, D.1.27; H.265, D.2.17
SLICES_H264 = range(1, 6)
MIN_AVCC_BYTES = 7  # size of an `avcC` box without parameter sets
# Profiles whose sequence parameter set contains chroma format and bit depth (ITU-T H.264, 7.3.2.1.1).
HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


class BitReader:
    """Reads single bits, the most significant of each byte first.

    Raises (while reading):
        EOFError: the data has ended.
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


def nal_units(data: memoryview, length_size: int) -> Iterator[memoryview]:
    """Yield a packet's length-prefixed NAL units (ISO/IEC 14496-15, 5.3.3).

    Args:
        data: the packet.
        length_size: bytes of each length field, 1 to 4.
    """
    place = 0
    while place + length_size < len(data):
        begins = place + length_size
        place = begins + int.from_bytes(data[place:begins])
        yield data[begins : max(place, begins + 1)]


def sei_messages(sei: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of each message of an SEI unit without its NAL header (ITU-T H.264, 7.3.2.3.1)."""
    rest = rbsp(sei)
    while len(rest) > 2:  # the trailing bits are one byte
        numbers = []
        for _ in ("payload_type", "payload_size"):
            steps = len(rest) - len(rest.lstrip(b"\xff"))
            if steps >= len(rest):
                return
            numbers.append(255 * steps + rest[steps])
            rest = rest[steps + 1 :]
        payload_type, size = numbers
        yield payload_type, rest[:size]
        rest = rest[size:]


def rbsp(unit: bytes) -> bytes:
    """Return a NAL unit's raw byte sequence payload: no emulation prevention bytes (ITU-T H.264, 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def nal_length_size(codec: str, extradata: bytes | None) -> int | None:
    """Return the size in bytes of a stream's NAL length fields; None for start codes."""
    if extradata is None or len(extradata) <= MIN_AVCC_BYTES or extradata[0] != 1:
        return None
    if codec == "hevc":
        return (extradata[21] & 3) + 1 if len(extradata) > 22 else None
    return (extradata[4] & 3) + 1


def avcc_parameter_sets(avcc: bytes) -> list[bytes]:
    """Return the parameter sets in an `avcC` box (ISO/IEC 14496-15, 5.3.3.1)."""
    found: list[bytes] = []
    offset = 5
    for mask in (31, 255):
        count, offset = (avcc[offset] & mask if offset < len(avcc) else 0), offset + 1
        for _ in range(count):
            size = int.from_bytes(avcc[offset : offset + 2])
            found.append(bytes(avcc[offset + 2 : offset + 2 + size]))
            offset += 2 + size
    return found


def allows_frames_only(sps: bytes) -> bool:
    """Return frame_mbs_only_flag of an H.264 sequence parameter set (7.3.2.1.1): no interlaced picture may follow."""
    bits = BitReader(rbsp(sps)[1:])
    try:
        profile = bits.read(24) >> 16
        bits.ue()  # seq_parameter_set_id
        if profile in HIGH_PROFILES:
            _skip_high_profile_fields(bits)
        bits.ue()  # log2_max_frame_num_minus4
        _skip_picture_order(bits)
        bits.ue()  # max_num_ref_frames
        bits.read(1)  # gaps_in_frame_num_value_allowed_flag
        bits.ue()  # pic_width_in_mbs_minus1
        bits.ue()  # pic_height_in_map_units_minus1
        return bool(bits.read(1))
    except EOFError:
        return False


def _skip_high_profile_fields(bits: BitReader) -> None:
    chroma = bits.ue()
    if chroma == 3:
        bits.read(1)  # separate_colour_plane_flag
    bits.ue()  # bit_depth_luma_minus8
    bits.ue()  # bit_depth_chroma_minus8
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.read(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: BitReader) -> None:
    """Skip the picture order count fields (ITU-T H.264, 7.3.2.1.1, pic_order_cnt_type)."""
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.read(1)  # delta_pic_order_always_zero_flag
        bits.se()  # offset_for_non_ref_pic
        bits.se()  # offset_for_top_to_bottom_field
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def format_header(codec: str, data: memoryview, length_size: int | None) -> bytes:
    """Return the header bytes of a key frame that determine size and orientation.

    Equal bytes mean equal size and orientation. Empty for codecs that are not read here, and for streams that have
    these fields in the extradata only.

    Args:
        codec: libav's name.
        data: the packet.
        length_size: from `nal_length_size`.
    """
    if codec in {"h264", "hevc"}:
        return _nal_unit_format(codec, data, length_size)
    if codec == "vp8":
        return bytes(data[6:10])  # width and height with their scaling (RFC 6386, 9.1)
    if codec == "vp9":
        return bytes(data[:9])  # up to the size, in every profile (VP9 specification, 6.2)
    if codec == "prores":
        return bytes(data[16:20])  # width and height (SMPTE RDD 36, 5.1)
    if codec == "mjpeg":
        return _jpeg_size(data)
    if codec in {"av1", "libdav1d"}:
        return _av1_sequence_header(data)
    return b""


def _nal_unit_format(codec: str, data: memoryview, length_size: int | None) -> bytes:
    header = b""
    for unit in _split_nal_units(data, length_size):
        unit_type = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if unit_type in (PARAMETER_SETS_H264 if codec == "h264" else PARAMETER_SETS_HEVC):
            header += bytes(unit)
        elif unit_type in (SEI_H264 if codec == "h264" else SEI_HEVC):
            sei = bytes(unit[1 if codec == "h264" else 2 :])
            messages = (payload for kind, payload in sei_messages(sei) if kind == SEI_DISPLAY_ORIENTATION)
            header += b"".join(messages)
        elif (codec == "h264" and unit_type in SLICES_H264) or (codec == "hevc" and unit_type < 32):
            return header + _picture_parameter_set_id(codec, unit_type, bytes(unit[:24]))
    return header


def _split_nal_units(data: memoryview, length_size: int | None) -> Iterator[memoryview]:
    if length_size is not None:
        yield from nal_units(data, length_size)
        return
    # With start codes (ITU-T H.264, annex B); parameter sets come first.
    for unit in bytes(data[:4096]).split(b"\0\0\1")[1:]:
        if unit:
            yield memoryview(unit)


def _picture_parameter_set_id(codec: str, unit_type: int, slice_header: bytes) -> bytes:
    """Return the id of the picture parameter set of a slice: a stream may have several, each with its own size."""
    try:
        if codec == "h264":
            bits = BitReader(rbsp(slice_header)[1:])
            bits.ue()  # first_mb_in_slice
            bits.ue()  # slice_type
        else:
            bits = BitReader(rbsp(slice_header)[2:])
            bits.read(2 if unit_type >= 16 else 1)  # first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
        return b"%d" % bits.ue()
    except EOFError:
        return b""


def _jpeg_size(data: memoryview) -> bytes:
    """Return height and width of a JPEG picture (ITU-T T.81, B.2.2)."""
    offset = 2
    while offset + 9 < len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return bytes(data[offset + 5 : offset + 9])
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4])
    return b""


def _av1_sequence_header(data: memoryview) -> bytes:
    """Return the sequence header OBU of a key frame (AV1 specification, 5.3: its type is 1)."""
    offset = 0
    while offset < len(data):
        obu_header = data[offset]
        offset += 2 if obu_header & 4 else 1
        size = shift = 0
        while obu_header & 2 and offset < len(data):
            size |= (data[offset] & 127) << shift
            shift += 7
            offset += 1
            if not data[offset - 1] & 128:
                break
        if obu_header >> 3 & 15 == 1:
            return bytes(data[offset : offset + size])
        if not obu_header & 2:
            return b""
        offset += size
    return b""


def vp9_inter_frame_size(data: memoryview) -> tuple[int, int] | None:
    """Return the size in a VP9 inter frame's header; None if it is taken from a reference frame.

    Browsers change the size of a call without a key frame (VP9 specification, 6.2 and 7.2.5).
    """
    bits = BitReader(bytes(data[:24]))
    try:
        marker, low, high = bits.read(2), bits.read(1), bits.read(1)
        if marker != 2 or (low + 2 * high == 3 and bits.read(1)) or bits.read(1):
            return None
        is_inter, is_shown, is_resilient = bits.read(1), bits.read(1), bits.read(1)
        if not is_inter or not is_shown:
            return None
        if not is_resilient:
            bits.read(2)  # reset_frame_context
        bits.read(8 + 3 * 4)  # refresh_frame_flags; three references with their sign bias
        if any(bits.read(1) for _ in range(3)):  # found_ref
            return None
        return bits.read(16) + 1, bits.read(16) + 1
    except EOFError:
        return None
