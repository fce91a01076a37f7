"""Stream-copies a part in which no picture has to change, packet by packet.

A part is copied as a whole or not at all: one that begins or ends between key frames is encoded from end to end,
because a stream whose parameter sets change within a part does not play on all phones. The sound is copied only if the
part is the whole video: a part's sound must begin at an exact sample, which is inside an AAC frame.
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
from media.writing.encode import BUFFER_BITS, PEAK_BITS_S, open_mp4
from media.writing.sound_writers import open_sound_writer

PROFILES = {"Constrained Baseline", "Baseline", "Main", "High"}
MAX_GOP_S = 5  # Instagram: closed groups of 2 to 5 s (platform sheet, section 5, read 2026-11-22)
NAL_SLICE, NAL_IDR, NAL_SEI, NAL_SPS = 1, 5, 6, 7  # ITU-T H.264, table 7-1
SEI_USER_DATA = 5  # user_data_unregistered (ITU-T H.264, D.1.7): a UUID, then anything; camcorders write their place
X264_UUID = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")  # of x264's settings, which are not private


class Obstacle(StrEnum):
    """The reason why a part's pictures cannot be copied; stable codes."""

    CHANGED = "changed"  # a frame stage or a framing changes the pictures
    CODEC = "codec"  # not H.264 in a profile that every phone plays, or not 8 bits 4:2:0, or perhaps interlaced
    SHAPE = "shape"  # bigger than a master, rotated, not the job's shape, or with pixels that are not square
    PARAMETERS = "parameters_change"  # the parameter sets change within the stream: one sample entry is not enough
    HELD = "picture_held"  # a picture is repeated where there is only sound
    COLOUR = "colour"  # not BT.709, or not tagged as BT.709
    RATE = "rate"  # uneven, or not 23 to 60
    CUT = "cut_off_key_frame"  # the part begins or ends between key frames
    GOP = "open_or_long_gop"  # open groups of pictures, or longer ones than the platforms take
    BITS = "too_many_bits"  # above the platforms' peak rate
    PRIVATE = "private_data"  # SEI messages with data of the camera


class _NotCopyable(Exception):
    """The packets cannot be copied."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


def obstacle(source: Path, span: Span) -> Obstacle | None:
    """Return why a part cannot be copied, or None if it can; reads its packets and decodes one picture.

    Raises:
        Refused: the source cannot be played.
    """
    try:
        _check_format(source, span)
        if span.holds_pictures:
            raise _NotCopyable(Obstacle.HELD)
        with translate_errors(), open_upload(source) as container:
            _check_bits([packet.size for packet in _packets(container, select_video(container), span)], span)
    except _NotCopyable as error:
        return error.obstacle
    return None


def may_be_copied(source: Path, whole: Span) -> bool:
    """Return whether parts of this video could be copied if they were cut at key frames."""
    try:
        _check_format(source, whole)
    except _NotCopyable:
        return False
    return True


def copy(source: Path, target: Path, span: Span) -> str | None:
    """Copy a part that has no obstacle; the file is complete but not yet synced.

    Returns:
        The outcome of the sound: "copied", "encoded", "unreadable" or None if there is none.
    """
    lead = _decoding_lead(source, span)
    with translate_errors(), open_upload(source) as reader, open_mp4(target, "negative_cts_offsets") as writer:
        stream = select_video(reader)
        pictures = writer.add_stream_from_template(stream)
        unit = pictures.time_base = Fraction(1, span.rate.numerator)  # the muxer may choose a finer one
        sound = open_sound_writer(source, writer, span)
        for number, packet in enumerate(_packets(reader, stream, span)):
            # On the output's grid, whatever the source's clock. Pictures that are decoded ahead get negative
            # composition offsets, so that the first picture is presented at zero.
            packet.pts = _tick(packet, span) * span.rate.denominator
            packet.dts = (number - lead) * span.rate.denominator
            packet.duration = span.rate.denominator
            packet.time_base, packet.stream = unit, pictures
            writer.mux(packet)
            sound.write_until(float((number + 1) / span.rate))
        sound.close()
        return sound.outcome


def _decoding_lead(source: Path, span: Span) -> int:
    """Return by how many pictures decoding must be ahead of presentation."""
    with translate_errors(), open_upload(source) as container:
        ordered = enumerate(_packets(container, select_video(container), span))
        return max(number - _tick(packet, span) for number, packet in ordered)


def _tick(packet: "Packet[VideoStream]", span: Span) -> int:
    assert packet.pts is not None
    return span.tick_of(packet.pts * packet.time_base) - span.first


def _check_format(source: Path, span: Span) -> None:
    """Raise an error if the stream's format is not that of a master."""
    with translate_errors(), open_upload(source) as container:
        stream = select_video(container)
        context = stream.codec_context
        if span.hold:
            raise _NotCopyable(Obstacle.RATE)
        if span.parameters_change:
            raise _NotCopyable(Obstacle.PARAMETERS)
        if context.name != "h264" or context.profile not in PROFILES or not _is_progressive(stream):
            raise _NotCopyable(Obstacle.CODEC)
        tags = ColourTags(stream)
        frame = first_frame(container, stream)
        if frame.format.name != "yuv420p" or frame.interlaced_frame:
            raise _NotCopyable(Obstacle.CODEC)
        if not _has_shape(frame, conversion.PixelAspect(stream), span):
            raise _NotCopyable(Obstacle.SHAPE)
        # A copy would have the container's tags, and players differ in which they follow.
        if not _is_bt709(frame) or not tags.agree_with(frame):
            raise _NotCopyable(Obstacle.COLOUR)


def _has_shape(frame: VideoFrame, aspect: conversion.PixelAspect, span: Span) -> bool:
    upright = conversion.upright_size(frame, aspect.current)
    shown_as_stored = conversion.orientation_of(frame) == conversion.Orientation(0, mirrored=False)
    fits = conversion.output_size(*upright) == upright == (frame.width, frame.height)
    return shown_as_stored and fits and span.shape in {None, upright}


def _is_bt709(frame: VideoFrame) -> bool:
    tags = {frame.colorspace, frame.color_primaries, frame.color_trc}
    return tags == {conversion.H273_BT709} and not conversion.is_full(frame)


def _is_progressive(stream: VideoStream) -> bool:
    """Return whether the NAL units have length fields, as in MP4, and no picture can be interlaced."""
    extradata = stream.codec_context.extradata
    if extradata is None or bitstream.nal_length_size("h264", extradata) is None:
        return False
    sequences = [one for one in bitstream.avcc_parameter_sets(extradata) if one and one[0] & 31 == NAL_SPS]
    return bool(sequences) and all(bitstream.allows_frames_only(one) for one in sequences)


def _packets(container: InputContainer, stream: VideoStream, span: Span) -> "Iterator[Packet[VideoStream]]":
    """Yield the part's packets in decoding order; raise an error if they depend on others."""
    if span.seek is not None:
        container.seek(span.seek, stream=stream)
    timed = (packet for packet in packets(container, stream) if packet.pts is not None)
    found, last_key = 0, 0
    for packet in itertools.dropwhile(lambda packet: _tick(packet, span) < 0, timed):
        tick, is_idr = _tick(packet, span), packet.is_keyframe and _is_idr(packet, stream)
        if tick >= span.frames and is_idr:
            break
        if _has_private_data(packet, stream):
            raise _NotCopyable(Obstacle.PRIVATE)
        if packet.is_discard or tick >= span.frames or (found == 0 and (tick, is_idr) != (0, True)):
            raise _NotCopyable(Obstacle.CUT)
        if tick < last_key:
            raise _NotCopyable(Obstacle.GOP)
        last_key = _next_key(last_key, tick, span) if is_idr else last_key
        found += 1
        yield packet
    if found != span.frames:
        raise _NotCopyable(Obstacle.CUT)
    _next_key(last_key, span.frames, span)


def _next_key(last: int, tick: int, span: Span) -> int:
    if tick - last > MAX_GOP_S * span.rate:
        raise _NotCopyable(Obstacle.GOP)
    return tick


def _is_idr(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Return whether a picture is an IDR picture, by its first slice: no later picture refers to an earlier one."""
    kinds = (unit[0] & 31 for unit in _nal_units(packet, stream))
    return next((kind == NAL_IDR for kind in kinds if NAL_SLICE <= kind <= NAL_IDR), False)


def _has_private_data(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Return whether a packet contains data of the camera, which may be place, time and serial number."""
    units = (bytes(unit[1:]) for unit in _nal_units(packet, stream) if unit[0] & 31 == NAL_SEI)
    found = (message for unit in units for message in bitstream.sei_messages(unit))
    return any(kind == SEI_USER_DATA and not data.startswith(X264_UUID) for kind, data in found)


def _nal_units(packet: "Packet[VideoStream]", stream: VideoStream) -> Iterator[memoryview]:
    extradata = stream.codec_context.extradata
    assert extradata is not None
    return bitstream.nal_units(memoryview(packet), (extradata[4] & 3) + 1)


def _check_bits(sizes: list[int], span: Span) -> None:
    """Raise an error if the packets overflow a leaky bucket with the encoder's peak rate and buffer."""
    level = Fraction(0)
    for size in sizes:
        level = max(level + size * 8 - PEAK_BITS_S / span.rate, Fraction(0))
        if level > BUFFER_BITS:
            raise _NotCopyable(Obstacle.BITS)
