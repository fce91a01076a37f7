"""Sound keeps its loudness, or gets the requested one, as measured by ffmpeg's meter (EBU R 128)."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from media.cutting.loudness import gain_db, integrated_lufs
from media.process import runner
from media.reading.inspection import inspect
from media.reading.soundtrack import Soundtrack
from media.writing.render import render
from tests.media import films

METER_LU = 0.2
RATE = films.SOUND_RATE
TAGS = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
COPYABLE = {"preset": "ultrafast", "profile": "high", "x264-params": f"keyint=25:scenecut=0:{TAGS}"}


def metered(path: Path) -> tuple[float, float]:
    """Return a file's loudness in LUFS and its true peak in dB below full scale."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    loud, peak = re.search(r"I: +(-?[\d.]+) LUFS", said), re.search(r"Peak: +(-?[\d.]+) dBFS", said)
    assert loud is not None
    assert peak is not None
    return float(loud[1]), float(peak[1])


def talking(level: float, seconds: float = 14) -> NDArray[np.float32]:
    """Return noise in intervals like sentences, with one much louder moment."""
    places = np.arange(round(seconds * RATE)) / RATE
    sound = films.noise(seconds) * (np.sin(2 * np.pi * places / 3.1) > -0.3)
    sound[7 * RATE : 7 * RATE + RATE // 20] *= 3
    return (sound * level).astype(np.float32)


def film(folder: Path, sound: NDArray[np.float32]) -> Path:
    return films.write(folder / "in.mp4", films.at_rate(25, 350), sound=sound)


def split(source: Path, folder: Path, *arguments: str) -> list[Path]:
    result = runner.run(
        "split", [str(source), str(folder), "--segment-seconds", "7", "--exact", *arguments], deadline_s=60
    )
    return [Path(part["path"]) for part in result["parts"]]


@pytest.mark.parametrize("level", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("tracks", ["1", "2"])
def test_loudness_is_measured_as_broadcasters_do(level: float, tracks: str, tmp_path: Path) -> None:
    source = tmp_path / "channels.mov"
    films.ffmpeg("-i", film(tmp_path, talking(level)), "-c:v", "copy", "-c:a", "pcm_s16le", "-ac", tracks, source)
    measured = integrated_lufs(Soundtrack(source, inspect(source).timeline.grid()))
    assert measured == pytest.approx(metered(source)[0], abs=METER_LU)


def test_all_parts_are_brought_to_a_level_by_one_gain_and_their_peaks_held_back(tmp_path: Path) -> None:
    sound = talking(0.4)
    sound[7 * RATE + RATE // 10 :] *= 0.7  # the second part was spoken more softly, and stays so
    parts = split(film(tmp_path, sound), tmp_path / "out", "--loudness", "-14")
    joined = tmp_path / "joined.txt"
    joined.write_text("".join(f"file '{part}'\n" for part in parts), encoding="utf-8")
    films.ffmpeg("-f", "concat", "-safe", "0", "-i", joined, "-c", "copy", tmp_path / "whole.mp4")
    loud, peak = metered(tmp_path / "whole.mp4")
    assert loud == pytest.approx(-14, abs=0.5)
    assert peak <= 0, "nothing is cut off"
    assert metered(parts[0])[0] - metered(parts[1])[0] == pytest.approx(3, abs=0.7)


def test_the_gain_travels_with_the_plan_to_each_part(tmp_path: Path) -> None:
    """As workers do it: one child plans, another renders a part. A picture that could be copied still is."""
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 350), sound=talking(0.4), options=COPYABLE)
    cutting = ["--segment-seconds", "7", "--exact"]
    for wanted, change_db in (["--loudness", "-20"], -20 - metered(source)[0]), ([], 0.0):
        plan = runner.run("plan", [str(source), *cutting, *wanted], deadline_s=60)
        target = tmp_path / f"part{len(wanted)}.mp4"
        of_part = ["--intensity", "0", f"--span={json.dumps(plan['spans'][1]['span'])}"]
        done = runner.run("gaze", [str(source), str(target), *of_part], deadline_s=60)
        assert (done["rendering"]["picture"], done["rendering"]["sound"]) == ("copied", "encoded")
        as_filmed = tmp_path / "as-filmed.mp4"
        films.ffmpeg("-ss", "7", "-i", source, "-c:v", "copy", as_filmed)
        assert metered(target)[0] - metered(as_filmed)[0] == pytest.approx(change_db, abs=0.5)


def test_sound_that_is_to_be_louder_is_not_copied_with_the_whole_video(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 350), sound=talking(0.1), options=COPYABLE)
    whole = inspect(source).timeline.grid()
    assert render(source, tmp_path / "out.mp4", span=whole).sound == "copied"
    louder = render(source, tmp_path / "out.mp4", span=replace(whole, gain_db=6.0))
    assert (louder.picture, louder.sound) == ("copied", "encoded")
    assert metered(tmp_path / "out.mp4")[0] == pytest.approx(metered(source)[0] + 6, abs=METER_LU)


def test_raised_sound_stays_in_step(tmp_path: Path) -> None:
    sound = talking(0.4)
    whole = [films.read(part).sound for part in split(film(tmp_path, sound), tmp_path / "out", "--loudness", "-14")]
    assert len(whole) == 2
    for number, heard in enumerate(whole):
        should = sound[number * 7 * RATE :][: len(heard)]
        assert abs(films.lag_of(heard[: 3 * RATE], should[: 3 * RATE])) <= RATE // 1000
        assert abs(films.lag_of(heard[-2 * RATE :], should[-2 * RATE :])) <= RATE // 1000


def test_sound_is_left_alone_by_default(tmp_path: Path) -> None:
    source = film(tmp_path, talking(0.15))
    before, after = metered(source)[0], [metered(part)[0] for part in split(source, tmp_path / "out")]
    assert np.mean(after) == pytest.approx(before, abs=0.5)


@pytest.mark.parametrize("sound", [np.zeros(14 * RATE, np.float32), None])
def test_silence_is_not_raised(sound: NDArray[np.float32] | None, tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 350), sound=sound)
    assert gain_db(source, inspect(source).timeline.grid(), -14) == 0.0
