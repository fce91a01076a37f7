"""Opens uploads with libav's demuxers; all other modules open uploads here.

Only listed container formats and codecs and the protocol "file" are allowed, and the picture size is limited before a
decoder can allocate pictures.
"""

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from media.container import channel_layouts, libav_enums, signature, structure
from media.container.patched import PatchedFile
from media.errors import Refused
from media.limits import MAX_PIXELS, MAX_STREAMS
from media.process.source_file import is_partial

VIDEO_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "h263", "mjpeg", "prores"}
# Cheap to decode, maintained, and found in MP4, QuickTime or Matroska.
AUDIO_CODECS = {"aac", "mp3", "mp3float", "opus", "vorbis", "ac3", "eac3", "flac", "alac", "amrnb", "amrwb"}
AUDIO_CODECS |= {"mp1", "mp1float", "mp2", "mp2float", "dca", "truehd", "mlp"}
AUDIO_CODECS |= {"adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "pcm_mulaw", "pcm_alaw"}
AUDIO_CODECS |= {f"pcm_{kind}" for kind in ("u8", "s8", "s8_planar")}
AUDIO_CODECS |= {f"pcm_{kind}" for kind in ("s16le_planar", "s16be_planar", "s24le_planar", "s32le_planar")}
AUDIO_CODECS |= {f"pcm_{kind}le" for kind in ("s16", "s24", "s32", "u16", "u24", "u32", "f32", "f64")}
AUDIO_CODECS |= {f"pcm_{kind}be" for kind in ("s16", "s24", "s32", "u16", "u24", "u32", "f32", "f64")}
FORMATS = {"mp4": "mov", "matroska": "matroska"}  # libavformat's names; its format detection is not used
STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
STILLS_SHARE = 0.1  # of the pictures in the largest track; a track with fewer is a still beside it
PACKETS_COUNTED = 600
OPTIONS = {
    "format_whitelist": "mov,matroska",
    "protocol_whitelist": "file",
    "codec_whitelist": ",".join(sorted(VIDEO_CODECS | AUDIO_CODECS)),
    "max_pixels": str(MAX_PIXELS),
    "max_streams": str(
        8 * MAX_STREAMS
    ),  # the inspection refuses fewer with a better message, but thousands of streams take gigabytes
}

libav_enums.accept_unknown()


@contextlib.contextmanager
def open_upload(path: Path) -> Iterator[InputContainer]:
    """Open an upload for demuxing; libav's errors inside the block become a refusal.

    Custom channel layouts are removed (`media.container.channel_layouts`), so that all streams can be accessed safely.

    Raises:
        Refused: empty_file, not_a_video, truncated, damaged.
        MemoryError: libav could not allocate.
    """
    with open_with_labels(path) as (container, _):
        yield container


@contextlib.contextmanager
def open_with_labels(path: Path) -> Iterator[tuple[InputContainer, dict[int, channel_layouts.Labels]]]:
    """Open an upload like `open_upload`; also yield the container's channel labels by stream index."""
    container_name = signature.check(path)
    patches = structure.of(path, container_name).patches
    with contextlib.ExitStack() as stack:
        is_plain = not patches and not is_partial(path)
        source = f"file:{path.absolute()}" if is_plain else stack.enter_context(PatchedFile(path, patches))
        stack.enter_context(translate_errors())
        container = stack.enter_context(
            av.open(source, "r", FORMATS[container_name], options=OPTIONS, metadata_errors="replace")
        )
        sounds = [stream for stream in container.streams.audio if stream.codec_context]
        yield container, {stream.index: channel_layouts.drop_custom_layout(stream.codec_context) for stream in sounds}


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Raise libav's errors as refusals; MemoryError stays as it is."""
    try:
        yield
    except MemoryError:
        raise  # libav's MemoryError is also an FFmpegError
    except av.error.FFmpegError as error:
        raise Refused("damaged", f"The file cannot be read as a video ({error.strerror}).") from error


_S = TypeVar("_S", VideoStream, AudioStream)


def packets(container: InputContainer, stream: _S) -> "Iterator[Packet[_S]]":
    """Yield the packets of a stream, and the empty packet at its end.

    Raises:
        Refused: damaged: a packet claims to be larger than this process's memory.
    """
    try:
        yield from container.demux(stream)
    except MemoryError as error:
        raise Refused("damaged", "A part of the file claims to be larger than the available memory.") from error


def select_video(container: InputContainer) -> VideoStream:
    """Return the video stream, never a cover image; packets of other streams will be discarded.

    Raises:
        Refused: no_video; damaged if there is no stream of any kind.
    """
    if len(container.streams) == 0:
        raise Refused("damaged", "The file's table of contents cannot be read.")
    moving = [stream for stream in container.streams.video if not stream.disposition & STILLS]
    if not moving:
        raise Refused("no_video", "The file has no moving picture, only sound or a cover image.")
    # Players choose in the same way: the default track, else the largest; but a still beside a video is never chosen.
    chosen = max(_without_stills(container, moving), key=_rank)
    select_stream(container, chosen)
    if chosen.codec_context:
        # The demuxer's option does not apply to the decoder that is opened later.
        chosen.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
    return chosen


def select_stream(container: InputContainer, chosen: VideoStream | AudioStream) -> None:
    """Make the demuxer discard the packets of all streams but one."""
    for stream in container.streams:
        stream.discard = Discard.default if stream is chosen else Discard.all


def _without_stills(container: InputContainer, moving: list[VideoStream]) -> list[VideoStream]:
    """Drop tracks with far fewer pictures than another: the photo of a motion photo, thumbnails."""
    if len(moving) == 1:
        return moving
    counts = _sample_counts(container, moving)
    return [stream for stream, count in zip(moving, counts, strict=True) if count >= STILLS_SHARE * max(counts)]


def _sample_counts(container: InputContainer, moving: list[VideoStream]) -> list[int]:
    if container.format.name != FORMATS["matroska"]:
        # The samples that the edit lists present; of a fragmented file those that were read so far.
        return [len(stream.index_entries) for stream in moving]
    # Matroska need not have an index, so packets at the beginning are counted.
    counts = dict.fromkeys((stream.index for stream in moving), 0)
    for packet in islice(container.demux(moving), PACKETS_COUNTED):
        counts[packet.stream.index] += packet.size > 0
    container.seek(0)
    return list(counts.values())


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    context = stream.codec_context  # None if there is no decoder
    pixels = context.width * context.height if context else 0
    return bool(stream.disposition & Disposition.default), pixels, -stream.index
