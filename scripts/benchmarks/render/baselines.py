"""Baselines of `scripts/bench render`, each run as a process: `pyav IN OUT` and `moviepy IN OUT ZERO`.

Written as anybody would who has no reason to write more; both print the CPU seconds of their work without the start.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.writing.encode import x264_options

SOUND_RATE, SOUND_BITS_S = 48_000, 128_000


def pyav(source: str, target: str) -> None:
    """Decode and encode with PyAV, nothing in between; one decoding thread, as ours."""
    import av  # noqa: PLC0415  # after the clock of the other baseline has started

    with av.open(source) as reader, av.open(target, "w", format="mp4") as writer:
        pictures = reader.streams.video[0]
        pictures.codec_context.thread_count = 1
        rate = Fraction(pictures.average_rate or 30)
        video = writer.add_stream("libx264", rate=rate, options=x264_options(rate))
        video.width, video.height, video.pix_fmt = pictures.width, pictures.height, "yuv420p"
        video.codec_context.thread_count = min(2, len(os.sched_getaffinity(0)))
        for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):  # or VMAF compares other colours
            setattr(video.codec_context, tag, getattr(pictures.codec_context, tag))
        sounds = reader.streams.audio[0] if reader.streams.audio else None
        audio = writer.add_stream("aac", rate=SOUND_RATE, bit_rate=SOUND_BITS_S) if sounds else None
        for packet in reader.demux([stream for stream in (pictures, sounds) if stream]):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    frame.pict_type = av.video.frame.PictureType.NONE
                    writer.mux(video.encode(frame))
                elif audio is not None and isinstance(frame, av.AudioFrame):
                    writer.mux(audio.encode(frame))
        for stream in (video, audio):
            if stream is not None:
                writer.mux(stream.encode(None))


def moviepy(source: str, target: str, zero: str) -> None:
    """Turn the eyes with the same corrector in MoviePy's own way: every picture as RGB, ffmpeg at both ends."""
    from moviepy import VideoFileClip  # noqa: PLC0415

    with VideoFileClip(source) as clip:
        corrected = clip.image_transform(_image_corrector(json.loads(zero)))
        rate = Fraction(clip.fps).limit_denominator(1001)
        options = [word for name, value in x264_options(rate).items() for word in (f"-{name}", value)]
        settings = ["-pix_fmt", "yuv420p", *options]
        corrected.write_videofile(target, codec="libx264", audio_codec="aac", ffmpeg_params=settings, logger=None)


def _image_corrector(zero: dict[str, object] | None) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return a function of one picture; it gives an earlier one back, because the corrector looks ahead."""
    import cv2  # noqa: PLC0415

    from media.frames import Planes  # noqa: PLC0415
    from media.gaze.calibration import Calibration  # noqa: PLC0415
    from media.gaze.corrector import Corrector  # noqa: PLC0415
    from media.gaze.face import model  # noqa: PLC0415
    from media.gaze.face.landmarks import Landmarker  # noqa: PLC0415
    from media.picture import conversion  # noqa: PLC0415

    found = Calibration.from_json(zero) if zero else None
    head = model.average_head(model.locate())
    corrector = Corrector(Landmarker(), head, zero=found.zero_deg if found else (0.0, 0.0))
    count = 0

    def turned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal count
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        stacked = cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2YUV_I420)
        y, rest = np.asarray(stacked[:height], np.uint8), np.asarray(stacked[height:], np.uint8).reshape(2, -1)
        u, v = (np.ascontiguousarray(half.reshape(height // 2, width // 2)) for half in rest)
        done = corrector.push(Planes(np.ascontiguousarray(y), u, v, count, count / 30))
        count += 1
        return conversion.to_rgb(done[0]) if done else image

    return turned


def main() -> None:
    """Run the baseline that the command line names."""
    name, source, target, *rest = sys.argv[1:]
    paths = str(Path(source).absolute()), str(Path(target).absolute())
    began = time.process_time()
    if name == "pyav":
        pyav(*paths)
        print(json.dumps({"work_s": time.process_time() - began}))
    else:
        moviepy(*paths, *rest)  # its work is mostly its ffmpeg's, which only the kernel counts


if __name__ == "__main__":
    main()
