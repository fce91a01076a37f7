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

from media.container import bitstream
from media.container.opening import open_upload, packets, select_video, translate_errors
from media.picture import conversion
from media.picture.colour_tags import ColourTags
from media.reading.inspection import first_frame
from media.reading.spans import Span
from media.writing.encode import BUFFER_BITS, PEAK_BITS_S, written
from media.writing.sound_writers import track_of

PROFILES = {"Constrained Baseline", "Baseline", "Main", "High"}
LONGEST_GOP_S = 5  # Instagram: closed groups of 2 to 5 s (platform sheet, section 5, read 2026-11-22)
NAL_SLICE, NAL_IDR, NAL_SEI, NAL_SPS = 1, 5, 6, 7  # ITU-T H.264, table 7-1
SEI_OWN_DATA = 5  # user_data_unregistered (ITU-T H.264, D.1.7): a UUID, then anything; camcorders put their place there
X264 = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")  # its settings, nothing about people


class Obstacle(StrEnum):
    """Why a part's pictures cannot be taken over as they are."""

    CHANGED = "changed"  # the eyes were turned, or whatever else a render was to do
    CODEC = "codec"  # not H.264 in a profile that every phone plays, or not 8 bits 4:2:0, or perhaps interlaced
    SHAPE = "shape"  # bigger than a master, lying on its side, not the job's shape, or pixels that are not square
    PARAMETERS = "parameters_change"  # the parameter sets change within the stream: one sample entry is not enough
    HELD = "picture_held"  # a picture is held where there is only sound
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
        if span.holds_pictures:
            raise _Obstructed(Obstacle.HELD)
        with translate_errors(), open_upload(source) as container:
            _check_bits([packet.size for packet in _packets(container, select_video(container), span)], span)
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
    with translate_errors(), open_upload(source) as reader, written(target, "negative_cts_offsets") as writer:
        stream = select_video(reader)
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
    with translate_errors(), open_upload(source) as container:
        ordered = enumerate(_packets(container, select_video(container), span))
        return max(number - _tick(packet, span) for number, packet in ordered)


def _tick(packet: "Packet[VideoStream]", span: Span) -> int:
    assert packet.pts is not None
    return span.tick_of(packet.pts * packet.time_base) - span.first


def _check_form(source: Path, span: Span) -> None:
    """Compare the stream's form with the master's."""
    with translate_errors(), open_upload(source) as container:
        stream = select_video(container)
        context = stream.codec_context
        if span.hold:
            raise _Obstructed(Obstacle.RATE)
        if span.parameters_change:
            raise _Obstructed(Obstacle.PARAMETERS)
        if context.name != "h264" or context.profile not in PROFILES or not _is_progressive(stream):
            raise _Obstructed(Obstacle.CODEC)
        tags = ColourTags(stream)
        frame = first_frame(container, stream)
        if frame.format.name != "yuv420p" or frame.interlaced_frame:
            raise _Obstructed(Obstacle.CODEC)
        if not _has_shape(frame, conversion.PixelAspect(stream), span):
            raise _Obstructed(Obstacle.SHAPE)
        # A copy would have the container's tags, and players differ in which they follow.
        if not _is_bt709(frame) or not tags.agree_with(frame):
            raise _Obstructed(Obstacle.COLOUR)


def _has_shape(frame: VideoFrame, aspect: conversion.PixelAspect, span: Span) -> bool:
    upright = conversion.upright_size(frame, aspect.current)
    shown_as_stored = conversion.orientation_of(frame) == conversion.Orientation(0, mirrored=False)
    fits = conversion.output_size(*upright) == upright == (frame.width, frame.height)
    return shown_as_stored and fits and span.shape in {None, upright}


def _is_bt709(frame: VideoFrame) -> bool:
    tags = {frame.colorspace, frame.color_primaries, frame.color_trc}
    return tags == {conversion.H273_BT709} and not conversion.is_full(frame)


def _is_progressive(stream: VideoStream) -> bool:
    """Say whether the NAL units have length fields, as in MP4, and no picture can be interlaced."""
    head = stream.codec_context.extradata
    if head is None or bitstream.nal_length_size("h264", head) is None:
        return False
    sequences = [one for one in bitstream.avcc_parameter_sets(head) if one and one[0] & 31 == NAL_SPS]
    return bool(sequences) and all(bitstream.allows_frames_only(one) for one in sequences)


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
    notes = (bytes(unit[1:]) for unit in _units(packet, stream) if unit[0] & 31 == NAL_SEI)
    found = (message for note in notes for message in bitstream.sei_messages(note))
    return any(kind == SEI_OWN_DATA and not data.startswith(X264) for kind, data in found)


def _units(packet: "Packet[VideoStream]", stream: VideoStream) -> Iterator[memoryview]:
    head = stream.codec_context.extradata
    assert head is not None
    return bitstream.nal_units(memoryview(packet), (head[4] & 3) + 1)


def _check_bits(sizes: list[int], span: Span) -> None:
    """Let the bits leak at the peak rate and see that they never fill the buffer, as the encoder does it."""
    level = Fraction(0)
    for size in sizes:
        level = max(level + size * 8 - PEAK_BITS_S / span.rate, Fraction(0))
        if level > BUFFER_BITS:
            raise _Obstructed(Obstacle.BITS)
