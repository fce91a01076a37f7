"""Mutated files never cause a hang or a crash; each is rendered or refused with a reason."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from media.process import runner
from tests.media import films

PROJECT = Path(runner.__file__).resolve().parents[2]
SEED = 20_261_122
BATCHES = int(os.environ.get("BATCHES", "2"))  # of 200 files each; after a change of media/, try BATCHES=50
FIT = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
# In one process for many files, so that the fast run stays fast; a crash of the whole shows as its exit code.
MANY = """
import sys
from pathlib import Path
from media.process import sandbox
sandbox.enter(sandbox.Limits(memory_bytes=1 << 30, cpu_s=240), sandbox.FileAccess(create=[Path(sys.argv[1])]))
from media.errors import Refused
from media.reading.inspection import inspect
from media.writing.render import render
from media.stages.plan import partition
for path in sorted(Path(sys.argv[1]).glob("*.bin")):
    print(path.name, flush=True)
    try:
        found = inspect(path)
        parts = partition(path, found, 60, exact=True, progress=lambda share: None)
        print(render(path, path.with_suffix(".out"), span=parts[0].span).picture)
    except Refused as refusal:
        print(refusal.code)
    except MemoryError:
        print("out_of_memory")
print("done")
"""


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Spoil a file the way that finds most: in its structure, less often in its pictures."""
    spoiled = bytearray(data)
    structure = data.index(b"moov") - 4 if b"moov" in data else 0
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        place = chance.randrange(structure, len(spoiled)) if chance.random() < 0.8 else chance.randrange(len(spoiled))
        kind = chance.randrange(5)
        if kind == 0:
            spoiled[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            spoiled[place : place + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
        elif kind == 2:
            del spoiled[place : place + chance.choice([1, 4, 100])]
        elif kind == 3:
            other = chance.randrange(len(spoiled))
            spoiled[place : place + 8] = spoiled[other : other + 8]
        else:
            spoiled[place : place + 1] = chance.randbytes(chance.choice([1, 2, 8]))
    return bytes(spoiled)


@pytest.fixture(scope="module")
def seeds(clip_dir: Path) -> list[bytes]:
    """Return small whole files of the containers that are taken."""
    times, sound = films.at_rate(25, 80), films.noise(3.2)
    paths = [
        films.write(clip_dir / "seed.mp4", times, sound=sound, size=(64, 48)),
        films.write(clip_dir / "seed.mkv", times, sound=sound, size=(64, 48), unit=films.MILLISECOND),
        films.write(
            clip_dir / "seed.webm", times, codec="libvpx", options={"deadline": "realtime"}, size=(64, 48),
            unit=films.MILLISECOND,
        ),
        # Fit to be copied packet by packet.
        films.write(
            clip_dir / "fit.mp4", times, sound=sound, size=(64, 48),
            options={"preset": "ultrafast", "profile": "high", "g": "40", "x264-params": FIT},
        ),
    ]  # fmt: skip
    for name, flags in (("pieces.mp4", "frag_keyframe+empty_moov"), ("front.mov", "faststart")):
        films.ffmpeg("-display_rotation", "90", "-i", paths[0], "-c", "copy", "-movflags", flags, clip_dir / name)
        paths.append(clip_dir / name)
    return [path.read_bytes() for path in paths]


def run_many(count: int, seeds: list[bytes], folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(count):
        (folder / f"{number:05d}.bin").write_bytes(mutated(seeds[number % len(seeds)], chance))
    command = [sys.executable, "-c", MANY, str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)
    said = done.stdout.splitlines()
    assert said[-1] == "done", (done.returncode, said[-1], done.stderr[-2000:])
    assert {"encoded", "copied", "damaged", "truncated"} <= set(said), "both ways of rendering were tried, or were not"


def test_mutated_files_are_answered(seeds: list[bytes], tmp_path: Path) -> None:
    run_many(200, seeds, tmp_path, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_hundreds_of_mutated_files_are_answered(batch: int, seeds: list[bytes], tmp_path: Path) -> None:
    run_many(200, seeds, tmp_path, SEED + 1 + batch)
