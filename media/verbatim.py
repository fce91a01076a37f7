"""A part in which nothing has to change is taken over packet by packet: its pictures are bit for bit the creator's own.

Only whole parts are: one that begins or ends between key frames is encoded anew from end to end, because a stream
that changes its parameters at the seam plays on some phones and not on others. The sound is copied with the whole
video only; a part's sound must begin at a sample, and AAC's blocks lie elsewhere.
"""

import itertools
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media import picture
from media.copied_sound import track_of
from media.encode import BUFFER_BITS, PEAK_BITS_S, written
from media.inspection import first_frame
from media.opening import opened, packets, translated, video_of
from media.spans import Span

PROFILES = {"Constrained Baseline", "Baseline", "Main", "High"}
LONGEST_GOP_S = 5  # Instagram: closed groups of 2 to 5 s (platform sheet, section 5, read 2026-11-22)
NAL_SLICE, NAL_IDR, NAL_SEI = 1, 5, 6  # ITU-T H.264, table 7-1
SEI_OWN_DATA = 5  # user_data_unregistered (ITU-T H.264, D.1.7): a UUID, then anything; camcorders put their place there
X264 = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")  # its settings, nothing about people


class Obstacle(StrEnum):
    """Why a part's pictures cannot be taken over as they are."""

    CHANGED = "changed"  # the eyes were turned, or whatever else a render was to do
    CODEC = "codec"  # not H.264 in a profile that every phone plays, or not 8 bits 4:2:0
    SHAPE = "shape"  # bigger than a master, lying on its side, or pixels that are not square
    COLOUR = "colour"  # not BT.709, or not said to be
    RATE = "rate"  # uneven, or not 23 to 60
    CUT = "cut_off_key_frame"  # the part begins or ends between key frames
    GOP = "open_or_long_gop"  # a key frame that others reach across, or too few of them
    BITS = "too_many_bits"  # above the platforms' peak
    PRIVATE = "private_data"  # between the pictures there is data of the camera's own


class _Obstructed(Exception):
    """The packets cannot be taken over."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


def obstacle(source: Path, span: Span) -> Obstacle | None:
    """Say what keeps a part from being copied; None when nothing does. Reads its packets and decodes one picture.

    Raises:
        Refused: the source cannot be played.
    """
    try:
        _check_form(source, span)
        with translated(), opened(source) as container:
            _check_bits([packet.size for packet in _packets(container, video_of(container), span)], span)
    except _Obstructed as obstructed:
        return obstructed.obstacle
    return None


def may_be_copied(source: Path, whole: Span) -> bool:
    """Say whether parts of this video could be copied if they were cut at key frames."""
    try:
        _check_form(source, whole)
    except _Obstructed:
        return False
    return True


def copy(source: Path, target: Path, span: Span) -> str | None:
    """Write a part that has no obstacle; the file is complete but not yet synced.

    Returns:
        What became of the sound: "copied", "encoded" or None when there is none.
    """
    late = _latest(source, span)
    with translated(), opened(source) as reader, written(target, "negative_cts_offsets") as writer:
        stream = video_of(reader)
        pictures = writer.add_stream_from_template(stream)
        unit = pictures.time_base = Fraction(1, span.rate.numerator)  # a wish: the muxer takes a finer one
        sound = track_of(source, writer, span)
        for number, packet in enumerate(_packets(reader, stream, span)):
            # Exactly on the grid, whatever clock the source had. What is decoded long before its time gets a negative
            # composition offset, so that the first picture is shown at zero all the same.
            packet.pts = _tick(packet, span) * span.rate.denominator
            packet.dts = (number - late) * span.rate.denominator
            packet.duration = span.rate.denominator
            packet.time_base, packet.stream = unit, pictures
            writer.mux(packet)
            sound.until(float((number + 1) / span.rate))
        sound.close()
        return sound.outcome


def _latest(source: Path, span: Span) -> int:
    """Return by how many pictures decoding must be ahead of showing."""
    with translated(), opened(source) as container:
        ordered = enumerate(_packets(container, video_of(container), span))
        return max(number - _tick(packet, span) for number, packet in ordered)


def _tick(packet: "Packet[VideoStream]", span: Span) -> int:
    assert packet.pts is not None
    return span.tick_of(packet.pts * packet.time_base) - span.first


def _check_form(source: Path, span: Span) -> None:
    """Compare the stream's form with the master's."""
    with translated(), opened(source) as container:
        stream = video_of(container)
        context = stream.codec_context
        if span.hold:
            raise _Obstructed(Obstacle.RATE)
        if context.name != "h264" or context.profile not in PROFILES or not _has_index_form(stream):
            raise _Obstructed(Obstacle.CODEC)
        frame = first_frame(container, stream)
        if frame.format.name != "yuv420p" or frame.interlaced_frame:
            raise _Obstructed(Obstacle.CODEC)
        upright = picture.upright_size(frame, stream.codec_context.sample_aspect_ratio)
        shown_as_stored = picture.orientation_of(frame) == picture.Orientation(0, mirrored=False)
        if not shown_as_stored or not picture.output_size(*upright) == upright == (frame.width, frame.height):
            raise _Obstructed(Obstacle.SHAPE)
        if not _is_bt709(frame):
            raise _Obstructed(Obstacle.COLOUR)


def _is_bt709(frame: VideoFrame) -> bool:
    tags = {frame.colorspace, frame.color_primaries, frame.color_trc}
    return tags == {picture.H273_BT709} and not picture.is_full(frame)


def _has_index_form(stream: VideoStream) -> bool:
    """Say whether the stream is stored as MP4 does it, with lengths (ISO/IEC 14496-15, 5.3.3), not start codes."""
    head = stream.codec_context.extradata
    return head is not None and len(head) > 6 and head[0] == 1


def _packets(container: InputContainer, stream: VideoStream, span: Span) -> "Iterator[Packet[VideoStream]]":
    """Give the part's packets in decoding order, or find that they do not stand alone."""
    if span.seek is not None:
        container.seek(span.seek, stream=stream)
    timed = (packet for packet in packets(container, stream) if packet.pts is not None)
    found, last_key = 0, 0
    for packet in itertools.dropwhile(lambda packet: _tick(packet, span) < 0, timed):
        tick, is_idr = _tick(packet, span), packet.is_keyframe and _is_idr(packet, stream)
        if tick >= span.frames and is_idr:
            break
        if _tells(packet, stream):
            raise _Obstructed(Obstacle.PRIVATE)
        if packet.is_discard or tick >= span.frames or (found == 0 and (tick, is_idr) != (0, True)):
            raise _Obstructed(Obstacle.CUT)
        if tick < last_key:
            raise _Obstructed(Obstacle.GOP)
        last_key = _next_key(last_key, tick, span) if is_idr else last_key
        found += 1
        yield packet
    if found != span.frames:
        raise _Obstructed(Obstacle.CUT)
    _next_key(last_key, span.frames, span)


def _next_key(last: int, tick: int, span: Span) -> int:
    if tick - last > LONGEST_GOP_S * span.rate:
        raise _Obstructed(Obstacle.GOP)
    return tick


def _is_idr(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Say whether nothing after a picture refers to anything before it, by the type of its first slice."""
    kinds = (unit[0] & 31 for unit in _units(packet, stream))
    return next((kind == NAL_IDR for kind in kinds if NAL_SLICE <= kind <= NAL_IDR), False)


def _tells(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Say whether a packet carries data of the camera's own, which may be place, time and serial number."""
    notes = (unit[1:] for unit in _units(packet, stream) if unit[0] & 31 == NAL_SEI)
    return any(kind == SEI_OWN_DATA and not data.startswith(X264) for note in notes for kind, data in _messages(note))


def _units(packet: "Packet[VideoStream]", stream: VideoStream) -> Iterator[bytes]:
    """Give the NAL units of a packet, of slices the first bytes only."""
    head = stream.codec_context.extradata
    assert head is not None
    width = (head[4] & 3) + 1
    data, place = memoryview(packet), 0
    while place + width < len(data):
        begins = place + width
        place = begins + int.from_bytes(data[place:begins])
        is_note = data[begins] & 31 == NAL_SEI
        yield bytes(data[begins : max(place, begins + 1) if is_note else begins + 1])


def _messages(note: bytes) -> Iterator[tuple[int, bytes]]:
    """Give kind and payload of the messages in an SEI unit (ITU-T H.264, 7.3.2.3.1)."""
    rest = note.replace(b"\0\0\3", b"\0\0")
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


def _check_bits(sizes: list[int], span: Span) -> None:
    """Let the bits leak at the peak rate and see that they never fill the buffer, as the encoder does it."""
    level = Fraction(0)
    for size in sizes:
        level = max(level + size * 8 - PEAK_BITS_S / span.rate, Fraction(0))
        if level > BUFFER_BITS:
            raise _Obstructed(Obstacle.BITS)
