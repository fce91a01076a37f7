"""The master that all platforms take: MP4 with its index in front and without edit lists, H.264 High, AAC-LC.

Without edit lists a player shows what is there from the first byte on, so nothing may be there that is not meant:
the encoder's priming sound is left out, and no picture is reordered, which would make the first one late. Picture and
sound then both begin at zero.
"""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream

from media.frames import Planes
from media.picture.conversion import H273_BT709, to_frame
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile
from media.sound.audio_filter import Block
from media.writing.aac import Aac

# Instagram takes 8 Mbit/s variable and 60 MB for a minute (platform sheet, section 5, read 2026-11-22): at the peak
# rate a minute is 56 MB, the buffer adds at most 1.9 MB once, the sound 1 MB.
PEAK_BITS_S, BUFFER_BITS = 7_500_000, 15_000_000
# x264's constant rate factor, and how finely it judges quiet areas. Measured 2026-11-25 on three recordings, two of
# 1080 x 1920, by VMAF, Mbit/s, CPU of decoding and encoding a frame, and memory of a process that only does that:
#   veryfast, 16, two looked ahead, one B-picture    94.3 95.3 94.3    4.5 2.6 2.2    24 21 11 ms    101 MB
#   superfast, 15, two looked ahead, no B-picture    95.2 96.3 95.2    7.0 3.8 3.4    18 14  8 ms     87 MB
#   the same with the strength below                 95.3 96.4 95.4    6.3 3.5 3.2    18 14  8 ms     87 MB
# Without looking ahead, and so without mbtree, 9.4 and 8.9 Mbit/s. veryfast as it comes takes 179 MB.
QUALITY, QUIET_AREAS = 15, 0.8
KEY_EVERY_S = 2


def x264_options(rate: Fraction, limits: MemoryLimits = LIMITS[MemoryProfile.FULL]) -> dict[str, str]:
    """Return the encoder's settings by ffmpeg's names; whoever compares with us needs the same."""
    return {
        "preset": "superfast",
        "profile": "high",
        "crf": str(QUALITY),
        "maxrate": str(PEAK_BITS_S),
        "bufsize": str(BUFFER_BITS),
        "rc-lookahead": str(limits.lookahead),
        "bf": "0",
        "g": str(round(KEY_EVERY_S * rate)),
        # superfast leaves out mbtree, which spends the bits where the next pictures profit from them.
        "x264-params": f"mbtree={int(limits.lookahead > 0)}:aq-strength={QUIET_AREAS}",
    }


def written(path: Path, *flags: str) -> OutputContainer:
    """Open an MP4 file for writing: its index in front, no edit list, nothing told of where and by what it was made.

    Args:
        path: the file.
        flags: more of ffmpeg's `movflags`.
    """
    options = {"movflags": "".join(f"+{flag}" for flag in ("faststart", *flags)), "use_editlist": "0"}
    return av.open(str(path), mode="w", format="mp4", options=options | {"fflags": "+bitexact"})


class Master:
    """One file being written; give pictures and sound in step, then close."""

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int],
        rate: Fraction,
        layout: str | None,
        limits: MemoryLimits = LIMITS[MemoryProfile.FULL],
    ) -> None:
        self.size = size
        self._limits = limits
        self._container = written(path)
        self._pictures = 0
        self._video = self._add_video(rate)
        self._audio = Aac(self._container, layout) if layout else None

    def show(self, planes: Planes) -> None:
        """Add the next picture."""
        frame = to_frame(planes)
        frame.pts, frame.time_base = self._pictures, self._video.codec_context.time_base
        self._pictures += 1
        with _memory_errors():
            self._container.mux(self._video.encode(frame))

    def sound(self, block: Block) -> None:
        """Add the next block of sound."""
        assert self._audio is not None, "a master with a sound track"
        self._audio.add(block)

    @property
    def sound_s(self) -> float:
        """Say how much sound there is so far, in seconds."""
        return self._audio.seconds if self._audio is not None else 0.0

    def close(self) -> None:
        """Write what the encoders still hold, and the index; the file is complete but not yet synced."""
        with _memory_errors():
            self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._audio.close()
        self._container.close()

    def abandon(self) -> None:
        """Give the file up; what was written so far is of no use."""
        self._container.close()

    def _add_video(self, rate: Fraction) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=rate, options=x264_options(rate, self._limits))
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate
        # One more thread costs 3 MB and is all that the smallest machine with two cores has.
        context.thread_count = min(self._limits.threads, len(os.sched_getaffinity(0)))
        context.colorspace = H273_BT709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.color_range = ColorRange.MPEG
        context.sample_aspect_ratio = Fraction(1)
        return stream


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except av.error.ExternalError as error:
        # x264 gives no reasons; with our own settings and pictures it only ever fails to allocate.
        raise MemoryError("the picture encoder could not allocate") from error
