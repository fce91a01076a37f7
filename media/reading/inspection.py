"""Inspects an upload: returns its facts and timeline, or refuses it; decodes a single frame.

Cheap checks come first, and each limits the cost of the next one: container structure, streams, packets, one picture.
"""

import contextlib
from array import array
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media import limits
from media.container import completeness, signature, structure
from media.container.opening import VIDEO_CODECS, open_upload, packets, select_video
from media.errors import Refused
from media.picture import conversion
from media.picture.colour_tags import ColourTags
from media.picture.formats import FormatScanner, PictureFormats
from media.process import memory, source_file
from media.reading import timeline
from media.reading.facts import Audio, Facts, MediaWarning
from media.reading.timeline import Timeline
from media.sound import extent
from media.sound.tracks import Sound, choose, stream_of

PACKETS_FOR_ONE_FRAME = 300  # tried before the video counts as undecodable
UNPLACED_SHARE = 0.02  # of the frames in the header; a file whose index lacks more is damaged


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of an inspection: facts to show, and the timeline to plan with."""

    facts: Facts
    timeline: Timeline


def inspect(path: Path) -> Inspection:
    """Check an upload against all limits and return its facts and timeline.

    Raises:
        Refused: empty_file, not_a_video, truncated, damaged, index_too_big, no_video, encrypted, codec_not_supported,
            too_many_streams, too_many_pixels, too_many_frames, too_long, too_short, too_few_frames,
            too_big_for_this_machine.
    """
    container_name = signature.check(path)
    scan = _scan(path, container_name)
    memory.release_unused()  # PyAV's streams keep their decoders: at 4K this one would keep 34 MB beside the next
    times = _with_sound(path, scan.times, scan.sound)
    _check_length(times)
    with open_upload(path) as container:
        stream = select_video(container)
        frame = first_frame(container, stream)
        check_pixels(frame.width, frame.height)
        _check_memory(frame, memory.limit_bytes())
        size = scan.formats.size or conversion.upright_size(frame, conversion.PixelAspect(stream).current)
        times = replace(times, shape=conversion.output_size(*size), parameters_change=scan.formats.parameters_change)
        found = _facts(path, container_name, container, stream, frame, times, scan.sound, size)
    warnings = _warnings(times, scan.formats, is_end_missing=scan.is_end_missing)
    return Inspection(replace(found, warnings=(*found.warnings, *warnings)), times)


@dataclass(frozen=True, slots=True)
class _PacketScan:
    """The result of reading an upload's packets, before a picture is decoded."""

    times: Timeline
    formats: PictureFormats
    sound: Sound | None
    is_end_missing: bool


def _scan(path: Path, container_name: str) -> _PacketScan:
    """Scan the packets; a truncated index is reported as such."""
    try:
        return _scan_packets(path, container_name)
    except Refused as refusal:
        is_truncated = structure.of(path, container_name).declared_end > source_file.size_bytes(path)
        if refusal.code in {"damaged", "no_video"} and is_truncated:
            detail = "The file breaks off in the middle of its table of contents. Upload it again."
            raise Refused("truncated", detail) from refusal
        raise


def _scan_packets(path: Path, container_name: str) -> _PacketScan:
    """Read the video packets and choose the sound track."""
    with contextlib.ExitStack() as stack:
        container = _open(path, stack)
        if len(container.streams) > limits.MAX_STREAMS:
            raise Refused(
                "too_many_streams", f"The file has {len(container.streams)} tracks; {limits.MAX_STREAMS} are allowed."
            )
        stream = select_video(container)
        _check_codec(stream)
        check_pixels(stream.codec_context.width, stream.codec_context.height)
        _check_declared_length(container, stream)
        scanner = FormatScanner(stream)
        times = _read_times(container, stream, scanner)
        sound = choose(path)
        # A sound that cannot be decoded may be one whose samples are all missing.
        sound_stream = stream_of(container, sound.tracks[0]) if sound else next(iter(container.streams.audio), None)
        is_end_missing = _is_end_missing(path, container_name, (stream, sound_stream), times)
        return _PacketScan(times, scanner.formats, sound, is_end_missing)


def _with_sound(path: Path, times: Timeline, sound: Sound | None) -> Timeline:
    """Return the timeline extended to the beginning and end of the sound."""
    sound_s = None
    if sound is not None:
        sound_s = extent.find(path, sound.tracks[0], times.first_picture_s, times.last_picture_end_s)
    return replace(times, sound_s=sound_s)


def _warnings(times: Timeline, formats: PictureFormats, *, is_end_missing: bool) -> list[MediaWarning]:
    conditions = {
        MediaWarning.PICTURE_BEGINS_LATE: times.picture_begins_late,
        MediaWarning.PICTURE_ENDS_EARLY: times.picture_ends_early,
        MediaWarning.SIZE_CHANGES: formats.changes,
        MediaWarning.END_MISSING: is_end_missing,
    }
    return [warning for warning, holds in conditions.items() if holds]


def _open(path: Path, stack: contextlib.ExitStack) -> InputContainer:
    """Open an upload; refuse an index that does not fit into this process's memory: index_too_big."""
    try:
        return stack.enter_context(open_upload(path))
    except MemoryError as error:
        detail = "The file's table of contents has more tracks or entries than there is memory for."
        raise Refused("index_too_big", detail) from error


def check_pixels(width: int, height: int) -> None:
    """Raise an error if a picture has too many pixels, or no size.

    Raises:
        Refused: too_many_pixels, damaged.
    """
    if width <= 0 or height <= 0:
        raise Refused("damaged", f"The picture's size is unknown, or more than {limits.MAX_SIDE} pixels a side.")
    if width * height > limits.MAX_PIXELS or max(width, height) > limits.MAX_SIDE:
        raise Refused(
            "too_many_pixels",
            f"The picture has {width} x {height} pixels; up to {limits.MAX_SIDE} a side and "
            f"{limits.MAX_PIXELS / 1e6:.1f} million in all are allowed (4K).",
        )


def _check_codec(stream: VideoStream) -> None:
    context = stream.codec_context
    name = context.name if context else "unknown"
    if name not in VIDEO_CODECS:
        raise Refused(
            "codec_not_supported",
            f"The video codec {name} is not supported. Convert the video to H.264 and upload it again.",
        )


def _check_declared_length(container: InputContainer, stream: VideoStream) -> None:
    """Refuse a video by the duration and frame count in its header, before its packets are read."""
    seconds = _declared_s(container.duration or 0, container.start_time or 0)
    if stream.duration and stream.time_base:
        seconds.append(float(stream.duration * stream.time_base))
    if seconds and min(seconds) > limits.MAX_SECONDS:
        raise _too_long(min(seconds))
    if stream.frames > limits.MAX_FRAMES:
        raise _too_many_frames(stream.frames)


def _declared_s(end: int, begins: int) -> list[float]:
    """Return the possible durations of a container: writers may add the start time or not."""
    return [ticks / av.time_base for ticks in (end, end - max(begins, 0)) if ticks > 0]


def _too_long(seconds: float) -> Refused:
    return Refused("too_long", f"The video lasts {seconds / 3600:.1f} hours; {limits.MAX_SECONDS // 3600} are allowed.")


def _too_many_frames(frames: int) -> Refused:
    return Refused("too_many_frames", f"The video has {frames} frames; {limits.MAX_FRAMES} are allowed.")


def _read_times(container: InputContainer, stream: VideoStream, scanner: FormatScanner) -> Timeline:
    times, keys, sizes = array("q"), array("q"), array("q")  # a list would take four times the memory
    last, last_duration = None, 0
    for packet in packets(container, stream):
        if packet.has_sidedata("encryption_info"):
            raise Refused("encrypted", "The video is encrypted (copy protection). Export it without protection.")
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or packet.is_corrupt:
            continue  # the empty packet at the stream's end, or a packet that the end of the file truncates
        if packet.is_keyframe:
            keys.append(at)
        is_hidden = packet.is_discard or _is_hidden(stream, packet)
        scanner.push(packet, shown=not is_hidden)
        if is_hidden:
            continue  # hidden by an edit list, or a frame that is only a reference for others
        times.append(at)
        sizes.append(packet.size)
        if last is None or at > last:
            last, last_duration = at, packet.duration or 0
        if len(times) > limits.MAX_FRAMES:
            raise _too_many_frames(len(times))
    if not times:
        raise Refused("damaged", "The file has a video track, but the track has no frames.")
    return timeline.of_packets(times, keys, stream.time_base or Fraction(1), last_duration, sizes)


def _is_end_missing(path: Path, name: str, streams: tuple[VideoStream, AudioStream | None], times: Timeline) -> bool:
    """Return whether a little is missing at the file's end; raise Refused if more is: truncated, damaged."""
    stream, sound_stream = streams
    size, outline, present_s = source_file.size_bytes(path), structure.of(path, name), times.grid().duration_s
    if name == "matroska":
        return completeness.check(completeness.of_clusters(float(times.origin_s), present_s, size, outline))
    measured = completeness.of_samples(stream, sound_stream, present_s, size, outline)
    indexed = len(stream.index_entries)
    if indexed < stream.frames * (1 - UNPLACED_SHARE) - 1 and not outline.has_edits:
        raise Refused(
            "damaged",
            f"The file's table of contents counts {stream.frames} frames, but lists only {indexed}. Upload it again.",
        )
    return completeness.check(measured)


def _is_hidden(stream: VideoStream, packet: "av.Packet[VideoStream]") -> bool:
    # VP8 writes its alternative reference pictures as packets of their own; the bit says "not shown" (RFC 6386, 9.1).
    return stream.codec_context.name == "vp8" and packet.size > 0 and not memoryview(packet)[0] & 0x10


def _check_length(times: Timeline) -> None:
    whole = times.grid()
    if whole.duration_s > limits.MAX_SECONDS:
        raise _too_long(whole.duration_s)
    if whole.duration_s < limits.MIN_SECONDS:
        raise Refused(
            "too_short",
            f"The video lasts {whole.duration_s:.2f} seconds; the platforms require at least {limits.MIN_SECONDS}.",
        )
    still_s = min(float(whole.held_s), limits.STILL_SECONDS)
    if len(times.times) < limits.MIN_FRAMES_A_SECOND * (whole.duration_s - still_s):
        raise Refused(
            "too_few_frames",
            f"The video has {len(times.times)} pictures in {whole.duration_s:.0f} seconds; "
            f"at least one in {1 / limits.MIN_FRAMES_A_SECOND:.0f} seconds is required.",
        )


def first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Decode the first frame; raise Refused (damaged) if the first packets contain none."""
    tags = ColourTags(stream)
    stream.codec_context.thread_count = 1
    error: av.error.FFmpegError | None = None
    for number, packet in enumerate(packets(container, stream)):
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.error.FFmpegError as problem:
            frames, error = [], problem
        if frames:
            return tags.apply(frames[0])
        if number >= PACKETS_FOR_ONE_FRAME:
            break
    reason = f" ({error.strerror})" if error else ""
    raise Refused("damaged", f"No picture of the video can be decoded{reason}.")


def _check_memory(frame: VideoFrame, allowed: int | None) -> None:
    """Refuse a video whose render would exceed the memory limit: too_big_for_this_machine."""
    needed = limits.RENDER_BYTES + limits.PICTURES_KEPT * sum(plane.buffer_size for plane in frame.planes)
    if allowed is not None and needed > allowed:
        otherwise = ", or without HDR" if frame.color_trc in conversion.HDR_CURVES else ""
        raise Refused(
            "too_big_for_this_machine",
            f"Pictures of {frame.width} x {frame.height} as {frame.format.name} take {needed >> 20} MB to process, and "
            f"this machine has {allowed >> 20} MB for it. Upload the video in a smaller size{otherwise}.",
        )


def _facts(
    path: Path,
    name: str,
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    times: Timeline,
    sound: Sound | None,
    size: tuple[int, int],
) -> Facts:
    whole = times.grid()
    sounds = len(container.streams.audio)
    turn = conversion.orientation_of(frame)
    width, height = size
    return Facts(
        container=name,
        video_codec=stream.codec_context.name,
        width=width,
        height=height,
        rotation=turn.rotation,
        mirrored=turn.mirrored,
        pixel_format=frame.format.name,
        hdr=conversion.HDR_CURVES.get(frame.color_trc),
        frame_rate=times.rate,
        output_rate=whole.rate,
        vfr=not times.constant,
        frames=len(times.times),
        duration_s=whole.duration_s,
        size_bytes=source_file.size_bytes(path),
        audio=_audio(sound, sounds, times.origin_s),
        warnings=(MediaWarning.SOUND_UNREADABLE,) if sounds and sound is None else (),
    )


def _audio(sound: Sound | None, tracks: int, origin_s: Fraction) -> Audio | None:
    if sound is None:
        return None
    chosen = sound.tracks[0]
    return Audio(
        stream=chosen.stream,
        codec=chosen.codec,
        sample_rate=chosen.sample_rate,
        channels=sound.channels,
        start_s=float(min(track.start_s for track in sound.tracks) - origin_s),
        tracks=tracks,
    )
