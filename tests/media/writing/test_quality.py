"""The fidelity of a master to its source, and of the picture outside the corrected eyes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import FrameStage, Planes
from media.gaze import calibration
from media.gaze.corrector import Corrector
from media.gaze.face import model
from media.gaze.face.landmarks import Landmarker
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.writing.render import render
from scripts.benchmarks.render.quality import vmaf
from tests.media import films

MACROBLOCK = 16  # what the encoder codes as one, and filters across
ALLOWED_DB, LEAST_VMAF = 0.3, 95
SECONDS = 3

Mask = NDArray[np.bool_]


class Marking:
    """A stage around a stage that notes where in each picture something was changed."""

    def __init__(self, stage: FrameStage) -> None:
        self.changed: list[Mask] = []
        self._stage = stage
        self._came: list[NDArray[np.uint8]] = []

    def push(self, frame: Planes) -> list[Planes]:
        self._came.append(frame.y.copy())
        return self._note(self._stage.push(frame))

    def drain(self) -> list[Planes]:
        return self._note(self._stage.drain())

    def _note(self, finished: list[Planes]) -> list[Planes]:
        for frame in finished:
            self.changed.append(frame.y != self._came.pop(0))
        return finished


class Nothing:
    """A stage that changes nothing; the part is encoded all the same."""

    def push(self, frame: Planes) -> list[Planes]:
        return [frame]

    def drain(self) -> list[Planes]:
        return []


def fidelity_db(source: Path, span: Span, copy: Path, changed: list[Mask]) -> float:
    """Return the PSNR of a copy's luma, leaving out the macroblocks in which and beside which something was changed."""
    beside = np.ones((3 * MACROBLOCK, 3 * MACROBLOCK), np.uint8)
    lost, count = 0.0, 0
    copies = iter(FrameReader(copy, inspect(copy).timeline.grid()))
    for was, became, mask in zip(FrameReader(source, span), copies, changed, strict=True):
        kept = cv2.dilate(mask.astype(np.uint8), beside) == 0
        lost += float((np.subtract(was.y, became.y, dtype=np.int32)[kept] ** 2).sum())
        count += int(kept.sum())
    return float(10 * np.log10(255**2 * count / lost))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "beside_deg"), [("01_webcam_reading_woman.mp4", 0.0), ("26_derived_phone_selfie_1080x1920_30fps.mp4", 6.0)]
)
def test_the_rest_of_the_picture_loses_nothing_by_it(name: str, beside_deg: float, clips: Path, tmp_path: Path) -> None:
    """Within 0.3 dB of the same encode with the eyes as filmed.

    The man of the selfie looks into the lens: his eyes are turned to a point beside it.
    """
    source = tmp_path / "in.mp4"
    films.ffmpeg("-i", clips / name, "-t", str(SECONDS), "-c", "copy", source)
    span = inspect(source).timeline.grid()
    found = calibration.calibrate(source)
    assert found is not None
    with Landmarker() as finder:
        zero = (found.yaw_deg + beside_deg, found.pitch_deg)
        corrector = Corrector(finder, model.average_head(model.locate()), zero=zero)
        stage = Marking(corrector)
        render(source, tmp_path / "turned.mp4", span=span, stage=stage)
    render(source, tmp_path / "as_filmed.mp4", span=span, stage=Nothing())
    corrected = sum(bool(mask.any()) for mask in stage.changed)
    assert corrected > span.frames // 4, "the eyes were turned, or this proves nothing"
    assert all(mask.mean() < 0.03 for mask in stage.changed), "before encoding, only at the eyes"
    with_it, without = (
        fidelity_db(source, span, tmp_path / copy, stage.changed) for copy in ("turned.mp4", "as_filmed.mp4")
    )
    assert abs(with_it - without) <= ALLOWED_DB
    assert vmaf(tmp_path / "as_filmed.mp4", source, inspect(source)) >= LEAST_VMAF
