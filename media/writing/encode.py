"""Encodes the platform master: MP4 with its index in front and without edit lists, H.264 High, AAC-LC.

Without an edit list a player presents all samples from the first one on. So the audio encoder's priming is left out,
and no picture is reordered, which would make the first one late. Picture and sound then both begin at zero.
"""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream

from media.frames import Planes
from media.picture.conversion import H273_BT709, fill_frame
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile
from media.sound.audio_filter import Block
from media.writing.aac import AacWriter

# Instagram takes 8 Mbit/s variable and 60 MB for a minute (platform sheet, section 5, read 2026-11-22): at the peak
# rate a minute is 56 MB, the buffer adds at most 1.9 MB once, the sound 1 MB.
PEAK_BITS_S, BUFFER_BITS = 7_500_000, 15_000_000
# x264's constant rate factor, and the strength of its adaptive quantization. Measured 2026-11-25 on three recordings,
# two of 1080 x 1920, by VMAF, Mbit/s, CPU of decoding and encoding a frame, and memory of a process that only does
# that:
#   veryfast, 16, lookahead 2, one B-frame           94.3 95.3 94.3    4.5 2.6 2.2    24 21 11 ms    101 MB
#   superfast, 15, lookahead 2, no B-frame           95.2 96.3 95.2    7.0 3.8 3.4    18 14  8 ms     87 MB
#   the same with the strength below                 95.3 96.4 95.4    6.3 3.5 3.2    18 14  8 ms     87 MB
# Without lookahead, and so without mbtree, 9.4 and 8.9 Mbit/s. veryfast with its own settings takes 179 MB.
CRF, AQ_STRENGTH = 15, 0.8
KEY_INTERVAL_S = 2


def x264_options(rate: Fraction, limits: MemoryLimits = LIMITS[MemoryProfile.FULL]) -> dict[str, str]:
    """Return the encoder's settings by ffmpeg's names; the benchmarks use the same."""
    return {
        "preset": "superfast",
        "profile": "high",
        "crf": str(CRF),
        "maxrate": str(PEAK_BITS_S),
        "bufsize": str(BUFFER_BITS),
        "rc-lookahead": str(limits.lookahead),
        "bf": "0",
        "g": str(round(KEY_INTERVAL_S * rate)),
        # superfast disables mbtree, which gives more bits to areas that the next pictures are predicted from.
        "x264-params": f"mbtree={int(limits.lookahead > 0)}:aq-strength={AQ_STRENGTH}",
    }


def open_mp4(path: Path, *flags: str) -> OutputContainer:
    """Open an MP4 file for writing: index in front, no edit list, no metadata about its origin.

    Args:
        path: the file.
        flags: further values of ffmpeg's `movflags`.
    """
    options = {"movflags": "".join(f"+{flag}" for flag in ("faststart", *flags)), "use_editlist": "0"}
    return av.open(str(path), mode="w", format="mp4", options=options | {"fflags": "+bitexact"})


class Master:
    """One master being written: add frames and sound in step, then close."""

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
        self._container = open_mp4(path)
        self._frames = 0
        self._frame = VideoFrame(*size, "yuv420p")  # used again: freed each time, it leaves holes in the heap
        self._video = self._add_video(rate)
        self._audio = AacWriter(self._container, layout) if layout else None

    def add_frame(self, planes: Planes) -> None:
        """Encode the next frame."""
        frame = self._frame
        frame.make_writable()  # the encoder has copied the last picture, so this copies nothing
        fill_frame(frame, planes)
        frame.pts, frame.time_base = self._frames, self._video.codec_context.time_base
        self._frames += 1
        with _memory_errors():
            self._container.mux(self._video.encode(frame))

    def add_sound(self, block: Block) -> None:
        """Encode the next block of sound."""
        assert self._audio is not None, "a master with a sound track"
        self._audio.add(block)

    @property
    def sound_s(self) -> float:
        """Return the duration of the sound so far, in seconds."""
        return self._audio.seconds if self._audio is not None else 0.0

    def close(self) -> None:
        """Flush the encoders and write the index; the file is complete but not yet synced."""
        with _memory_errors():
            self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._audio.close()
        self._container.close()

    def discard(self) -> None:
        """Close the incomplete file without flushing the encoders."""
        self._container.close()

    def _add_video(self, rate: Fraction) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=rate, options=x264_options(rate, self._limits))
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate
        # A second thread costs 3 MB; the smallest machine that has a second core has two.
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
        # x264 gives no reason. With these settings and pictures it fails only if it cannot allocate.
        raise MemoryError("the picture encoder could not allocate") from error
