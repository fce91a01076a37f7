"""The stages as children of the runner and as commands in a shell."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import features

from media.process import runner
from media.reading.spans import Span
from tests.media import films

PROJECT = Path(runner.__file__).resolve().parents[2]
# Full HD pictures, and 16 MB for an encoder that wants some 60 in one thread and 90 in two.
TIGHT = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from media.writing.encode import Master
from media.frames import Planes

held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
limit = (int(held.split()[1]) << 10) + (16 << 20)
y, u, v = (np.zeros(shape, np.uint8) for shape in ((1920, 1080), (960, 540), (960, 540)))
master = Master(Path(sys.argv[1]), size=(1080, 1920), rate=Fraction(30), layout=None)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    for index in range(60):
        master.add_frame(Planes(y, u, v, index, index / 30))
except MemoryError as error:
    print(error)
"""


def test_the_plan_travels_through_the_runner(talk: Path) -> None:
    plan = runner.run("plan", [str(talk), "--segment-seconds", "8", "--exact"], deadline_s=60)
    assert plan["facts"]["frames"] == 600
    assert plan["zero"] is None
    assert [(part["number"], part["of"], part["frames"], part["cut_reason"]) for part in plan["spans"]] == [
        (1, 3, 240, "limit"),
        (2, 3, 240, "limit"),
        (3, 3, 120, "end"),
    ]
    assert [Span.from_json(part["span"]).first for part in plan["spans"]] == [0, 240, 480]


def test_a_refusal_travels_through_the_runner(tmp_path: Path) -> None:
    playlist = tmp_path / "innocent.mp4"
    playlist.write_text("#EXTM3U\n/etc/passwd\n", encoding="ascii")
    with pytest.raises(runner.Refused) as refusal:
        runner.run("probe", [str(playlist)], deadline_s=60)
    assert refusal.value.code == "not_a_video"


def test_split_writes_all_parts_and_nothing_else(mute: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    result = runner.run(
        "split", [str(mute), str(tmp_path), "--segment-seconds", "6"], deadline_s=60, on_progress=shares.append
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part-001.mp4", "part-002.mp4"]
    numbers = [number for part in result["parts"] for number in films.read(Path(part["path"])).numbers]
    assert numbers == list(range(200))
    assert shares == sorted(shares)


def test_the_commands_speak_to_people(mute: Path) -> None:
    command = [sys.executable, "-m", "media.probe", str(mute)]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout)["frames"] == 200


def test_a_terminal_shows_how_far_it_is_and_how_long_it_will_take(talk: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "media.split", str(talk), str(tmp_path), "--segment-seconds", "8"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while more := os.read(ours, 4096):
                shown += more
        assert child.stdout is not None
        result = json.loads(child.stdout.read())
    os.close(ours)
    steps = re.findall(r"\r#* +(\d+\.\d)% +(\d+) s left", shown.decode())
    shares = [float(share) for share, _ in steps]
    assert shares == sorted(shares)
    assert len(shares) >= 3
    assert int(steps[-1][1]) == 0, "nothing is left at the end"
    assert shown.endswith(b"\r\x1b[K"), "the bar goes before the result comes"
    assert len(result["parts"]) == 3


def test_the_commands_explain_a_refusal_to_people(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    command = [sys.executable, "-m", "media.probe", str(tmp_path / "empty.mp4")]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (3, "")
    assert "The file is empty (0 bytes)." in said.stderr


def test_parts_shorter_than_two_minimal_ones_are_not_planned(mute: Path) -> None:
    with pytest.raises(runner.ChildFailed) as death:
        runner.run("plan", [str(mute), "--segment-seconds", "5"], deadline_s=60)
    assert "at least 6 seconds" in death.value.stderr_tail


def test_a_machine_too_small_for_the_pictures_is_told_before_any_work(clips: Path, tmp_path: Path) -> None:
    arguments = [str(clips / "12_man_standing_1080x1920.mp4"), str(tmp_path)]
    with pytest.raises(runner.Refused, match=r"1080 x 1920 .* has 130 MB") as refusal:
        runner.run("split", arguments, deadline_s=60, memory_bytes=130 << 20)
    assert refusal.value.code == "too_big_for_this_machine"
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_for_the_encoder_is_told_as_such(tmp_path: Path) -> None:
    """x264 itself says nothing but that it failed."""
    command = [sys.executable, "-c", TIGHT, str(tmp_path / "out.mp4")]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert said.stdout == "the picture encoder could not allocate\n", said.stderr


def test_less_memory_makes_a_smaller_picture(tmp_path: Path) -> None:
    """The part is as long as before, and its sound is there."""
    source, found = tmp_path / "in.mp4", {}
    films.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=810x1440:rate=25:duration=3", "-f", "lavfi", "-i", "sine=duration=3",
        "-c:v", "mpeg4", "-q:v", "5", "-c:a", "aac", source,
    )  # fmt: skip
    for memory in ("less", "least"):
        arguments = [str(source), str(tmp_path / "out.mp4"), "--intensity", "0", "--zero=null", "--memory", memory]
        result = runner.run("gaze", arguments, deadline_s=120)
        found[memory] = (result["width"], result["height"], result["frames"], result["rendering"]["sound"])
    small = (720, 1280, 75, "encoded")
    assert found == {"less": small, "least": small}


@pytest.mark.skipif(not features.check("raqm"), reason="libfribidi0 is not installed")
def test_the_sandbox_lets_a_cover_be_lettered(tmp_path: Path) -> None:
    """Fonts and the libraries that shape letters are read inside it."""
    source, out = tmp_path / "in.mp4", tmp_path / "out"
    films.write(source, films.at_rate(25, 75))
    out.mkdir()
    written = {}
    for title in ("", "مرحبا 你好", "سلام", "你好"):
        target, cover = out / "out.mp4", out / "cover.jpg"
        arguments = [
            str(source),
            str(target),
            "--intensity",
            "0",
            "--zero=null",
            "--cover",
            str(cover),
            f"--title={title}",
        ]
        runner.run("gaze", arguments, deadline_s=60, outputs=[target, cover])
        written[title] = cover.read_bytes()
    assert len(set(written.values())) == 3, "no title is drawn for want of a font with both scripts"
    assert written[""] == written["مرحبا 你好"]


def test_a_plan_without_pictures_still_cuts_at_pauses(tmp_path: Path) -> None:
    sound = films.noise(9)
    sound[int(4.5 * 48_000) : int(5.2 * 48_000)] = 0
    path = films.write(tmp_path / "in.mp4", films.at_rate(25, 225), sound=sound)
    less = ["--intensity", "0.8", "--without-zero", "--without-scenes"]
    plan = runner.run("plan", [str(path), "--segment-seconds", "6", *less], deadline_s=120)
    assert plan["zero"] is None
    assert [part["cut_reason"] for part in plan["spans"]] == ["pause", "end"]


@pytest.mark.parametrize(
    ("stage", "end"),
    [
        (["probe", "DIRECTORY"], "DIRECTORY is a directory, not a file"),
        (["gaze", "DIRECTORY", "out.mp4"], "DIRECTORY is a directory, not a file"),
        (["split", "VIDEO", "FILE"], "FILE is a file, not a directory"),
        (["split", "VIDEO", "FILE/below"], "FILE/below is not possible: a part of this path is a file"),
    ],
)
def test_a_mistaken_path_is_one_sentence_without_a_traceback(
    mute: Path, tmp_path: Path, stage: list[str], end: str
) -> None:
    (tmp_path / "DIRECTORY").mkdir()
    (tmp_path / "FILE").touch()
    (tmp_path / "VIDEO").symlink_to(mute)
    ran = subprocess.run(
        [sys.executable, "-m", f"media.{stage[0]}", *(str(tmp_path / name) for name in stage[1:])],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (3, f"refused (unusable_path): {tmp_path}/{end}\n")
