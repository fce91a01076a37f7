"""Chooses the sound of an upload: one decodable track, or two mono tracks as left and right.

The choice depends on the file alone, so plan, render and copy use the same sound. Two mono tracks become stereo if
their labels or titles say left and right. In MP4 and QuickTime files they also become stereo if both are enabled, agree
in codec, rate, language and title, and are no alternates of each other (ISO/IEC 14496-12, 8.3.2). Matroska marks every
track as default unless it is set otherwise, so only labels and titles count there. Otherwise the first track is used.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from media.container import alternates
from media.container.channel_layouts import MAX_CHANNELS, Labels
from media.container.opening import AUDIO_CODECS, FORMATS, open_with_labels, packets, select_stream
from media.sound import mixing
from media.sound.audio_filter import Resampler
from media.sound.mixing import Matrix

MAX_TRACKS_TRIED = 8  # each try opens the file again
PACKETS_FOR_ONE_FRAME = 300  # tried before a track counts as undecodable; 6 s of AAC
# Samples a second. With rates far outside, a resampler's tables or its output fill the memory.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 2000, 768_000
MAX_FRAME_S = 10  # duration of a decoded frame; usual ones are well below a second
SECONDARY = (
    Disposition.comment | Disposition.descriptions | Disposition.visual_impaired | Disposition.hearing_impaired
    | Disposition.karaoke | Disposition.dub
)  # fmt: skip
SIDES = {"L": re.compile(r"(?<![a-z])(left|l)(?![a-z])"), "R": re.compile(r"(?<![a-z])(right|r)(?![a-z])")}


@dataclass(frozen=True, slots=True)
class Track:
    """A sound track whose beginning was decoded."""

    stream: int  # index among all tracks of the file
    codec: str
    sample_rate: int
    labels: Labels  # of its channels, from the container
    channels: int  # in its first decoded frame
    outputs: int  # published channels, 1 or 2
    start_s: Fraction  # on the source's clock


@dataclass(frozen=True, slots=True)
class Sound:
    """The chosen sound of an upload: one track, or a left and a right one."""

    tracks: tuple[Track, ...]

    @property
    def outputs(self) -> int:
        """Return the number of published channels: 1 or 2."""
        return max(len(self.tracks), self.tracks[0].outputs)

    @property
    def channels(self) -> int:
        """Return the number of recorded channels."""
        return sum(track.channels for track in self.tracks)


def choose(path: Path) -> Sound | None:
    """Return the sound of an upload; None if no track can be decoded.

    Raises:
        Refused: damaged: the file cannot be read.
    """
    for rank in range(MAX_TRACKS_TRIED):
        with open_with_labels(path) as (container, labels):
            candidates = _candidates(container)
            if rank >= len(candidates):
                return None
            pair = _pair(path, container, labels)
            chosen = _probe(container, candidates[rank], labels)
        if chosen is None:
            continue
        if pair is not None and chosen.stream in pair and (both := _decode_pair(path, pair)) is not None:
            return both
        return Sound((chosen,))
    return None


def stream_of(container: InputContainer, track: Track) -> AudioStream:
    """Return a chosen track's stream; packets of other streams are discarded."""
    stream = container.streams[track.stream]
    assert isinstance(stream, AudioStream), "chosen in the same file"
    select_stream(container, stream)
    stream.codec_context.thread_count = 1
    return stream


def decoded(packet: "Packet[AudioStream]") -> list[AudioFrame]:
    """Decode a packet; frames with an implausible rate, length or channel count are dropped.

    Raises:
        av.error.FFmpegError: the packet cannot be decoded.
        MemoryError: libav could not allocate.
    """
    return [frame for frame in packet.decode() if _is_usable(frame)]


def _is_usable(frame: AudioFrame) -> bool:
    rate, count = frame.sample_rate, frame.layout.nb_channels
    return (
        MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE and 0 < count <= MAX_CHANNELS and frame.samples <= MAX_FRAME_S * rate
    )


def _candidates(container: InputContainer) -> list[AudioStream]:
    """Return the tracks with a supported codec, in the order in which players prefer them."""
    usable = [stream for stream in container.streams.audio if _has_decoder(stream)]
    return sorted(usable, key=lambda s: (not s.disposition & Disposition.default, bool(s.disposition & SECONDARY)))


def _has_decoder(stream: AudioStream) -> bool:
    context = stream.codec_context
    if not context or context.name not in AUDIO_CODECS:
        return False
    return MIN_SAMPLE_RATE <= context.sample_rate <= MAX_SAMPLE_RATE and context.channels <= MAX_CHANNELS


def _probe(container: InputContainer, stream: AudioStream, labels: dict[int, Labels]) -> Track | None:
    """Decode a track's first frame; None if its first packets cannot be decoded or mixed."""
    select_stream(container, stream)
    stream.codec_context.thread_count = 1
    declared = min(stream.codec_context.channels, 2)  # parametric stereo (HE-AAC v2) is mono in its first frames
    frame = next(_frames(container, stream), None)
    if frame is None:
        return None
    container_labels = labels[stream.index]
    frame_labels = mixing.labels_of(frame.layout, container_labels)
    outputs = max(mixing.output_count(frame_labels), declared if len(frame_labels) == 1 else 1)
    if not _can_be_mixed(frame, mixing.matrix(frame_labels, outputs)):
        return None
    return Track(
        stream=stream.index,
        codec=stream.codec_context.name,
        sample_rate=frame.sample_rate,
        labels=container_labels,
        channels=max(len(frame_labels), declared),
        outputs=outputs,
        start_s=(stream.start_time or 0) * (stream.time_base or Fraction(1)),
    )


def _can_be_mixed(frame: AudioFrame, weights: Matrix) -> bool:
    try:
        Resampler(frame, weights, frame.sample_rate)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return False
    return True


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    try:
        for packet in itertools.islice(packets(container, stream), PACKETS_FOR_ONE_FRAME):
            yield from _decoded_or_none(packet)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return  # the track cannot be read any further; another one may be fine


def _decoded_or_none(packet: "Packet[AudioStream]") -> list[AudioFrame]:
    try:
        return decoded(packet)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return []


def _decode_pair(path: Path, pair: tuple[int, int]) -> Sound | None:
    """Return two tracks as left and right if both decode to one channel at the same rate."""
    found: list[Track] = []
    for index in pair:
        with open_with_labels(path) as (container, labels):
            stream = container.streams[index]
            track = _probe(container, stream, labels) if isinstance(stream, AudioStream) else None
        if track is None or track.channels != 1:
            return None
        found.append(track)
    return Sound(tuple(found)) if found[0].sample_rate == found[1].sample_rate else None


def _pair(path: Path, container: InputContainer, labels: dict[int, Labels]) -> tuple[int, int] | None:
    """Return the indices of a left and a right mono track, or None."""
    sounds = [stream for stream in container.streams.audio if not stream.disposition & SECONDARY]
    if not all(_has_decoder(stream) and stream.codec_context.channels == 1 for stream in sounds) or len(sounds) < 2:
        return None
    if len({(stream.codec_context.name, stream.codec_context.sample_rate, _language(stream)) for stream in sounds}) > 1:
        return None
    named = [[s.index for s in sounds if _side(s, labels[s.index]) == side] for side in SIDES]
    if all(len(found) == 1 for found in named):
        return named[0][0], named[1][0]
    if any(named) or not _are_enabled_together(path, container, sounds):
        return None
    return sounds[0].index, sounds[1].index


def _are_enabled_together(path: Path, container: InputContainer, sounds: Sequence[AudioStream]) -> bool:
    """Return whether the file enables all these tracks at once, as cameras do with pairs of inputs."""
    if container.format.name != FORMATS["mp4"] or len(sounds) % 2 or len(sounds) != len(container.streams.audio):
        return False
    if not all(stream.disposition & Disposition.default for stream in sounds):
        return False
    if len({re.sub(r"\d+", "", _title(stream)) for stream in sounds}) > 1:
        return False
    groups = alternates.groups(path)
    return all(
        not groups.get(a.id) or groups.get(a.id) != groups.get(b.id) for a, b in itertools.combinations(sounds, 2)
    )


def _side(stream: AudioStream, labels: Labels) -> str | None:
    if labels in {("FL",), ("FR",)}:
        return labels[0][1]
    found = [side for side, pattern in SIDES.items() if pattern.search(_title(stream))]
    return found[0] if len(found) == 1 else None


def _title(stream: AudioStream) -> str:
    metadata = stream.metadata
    return next((metadata[key] for key in ("title", "name", "handler_name") if metadata.get(key)), "").lower()


def _language(stream: AudioStream) -> str:
    language = stream.metadata.get("language", "")
    return "" if language == "und" else language
