"""No channel layout crashes the process, and every recorded channel is audible in the mix."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media.container.channel_layouts import drop_custom_layout
from media.container.opening import open_upload
from media.sound import mixing, tracks
from media.sound.mixing import labels_of, matrix
from media.sound.samples import Samples, Window
from tests.media.container import channel_layouts
from tests.media.container.channel_layouts import Case, chan

RATE = 48_000
LEFT, RIGHT, CENTRE = 1, 2, 3  # QuickTime's labels
PROGRAM = """
import gc, json, sys
from pathlib import Path
from tests.media.container import channel_layouts
from tests.media.sound import test_channels
folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
outcomes = {}
for number, case in enumerate(channel_layouts.cases(last)):
    if first <= number < last:
        print(case.name, file=sys.stderr, flush=True)
        path = channel_layouts.write(folder, case)
        outcomes[case.name] = test_channels.touched(path)
        path.unlink()
        if number % 16 == 0:
            gc.collect()  # files and streams hold each other
print(json.dumps(outcomes))
"""


def heard(path: Path, outputs: int | None = None) -> NDArray[np.float32]:
    sound = tracks.choose(path)
    assert sound is not None
    window = Window(Fraction(0), 0, RATE // 4, RATE, outputs or sound.outputs)
    return np.concatenate(list(Samples(path, sound.tracks[0], window, from_start=True)), axis=1)


def touched(path: Path) -> str:
    """Read a file's sound as the stages do, and access all attributes of its streams."""
    with open_upload(path) as container:
        for stream in container.streams.audio:
            repr(stream)
            if stream.codec_context:
                _ = stream.codec_context.layout.name, stream.codec_context.channels, stream.codec_context.layout
    sound = tracks.choose(path)
    if sound is None:
        return "unreadable"
    return "heard" if np.abs(heard(path)).max() > 0.003 else "silent"


def pitches(sound: NDArray[np.float32]) -> list[set[int]]:
    """Return which recorded channels are audible in each channel of a sound."""
    power = np.abs(np.fft.rfft(sound[:, 2048 : 2048 + 9600], axis=1))  # 5 Hz apart
    return [{n for n in range(24) if row[(300 + 150 * n) // 5] > 0.05 * row.max()} for row in power]


def in_a_child(folder: Path, first: int, last: int) -> dict[str, str]:
    import json  # noqa: PLC0415  # only here

    command = [sys.executable, "-c", PROGRAM, str(folder), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"died of {done.stderr.splitlines()[-1:]}"
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def test_no_layout_ends_the_process(tmp_path: Path) -> None:
    """PyAV 18.1 alone aborts (134) at the first of them: it frees a custom layout's map with every copy."""
    outcomes = in_a_child(tmp_path, 0, 460)
    assert len(outcomes) > 400
    quiet = {name for name, outcome in outcomes.items() if outcome != "heard"}
    assert all(name.startswith("opus") for name in quiet), "all but impossible heads of Opus are heard"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, 500))
def test_no_layout_ends_the_process_in_thousands(first: int, tmp_path: Path) -> None:
    outcomes = in_a_child(tmp_path, first, first + 500)
    assert len(outcomes) >= 497  # three of the chosen pairs have the same name
    assert "silent" not in outcomes.values()


@pytest.mark.parametrize(
    ("labels", "sides"),
    [
        ((LEFT, RIGHT), [{0}, {1}]),
        ((RIGHT, LEFT), [{1}, {0}]),
        ((CENTRE, CENTRE), [{0}, {1}]),
        ((CENTRE, 4), [{0}, {1}]),  # the second is said to be a low-frequency channel
        ((LEFT, LEFT), [{0}, {1}]),
        ((0, 0xFFFFFFFF), [{0}, {1}]),
        ((LEFT, RIGHT, LEFT), [{0, 2}, {1}]),
        ((CENTRE, LEFT, RIGHT), [{0, 1}, {0, 2}]),
        ((0x10000, 0x10001, 0x10002, 0x10003), [{0, 1, 2, 3}] * 2),  # discrete: so many microphones
    ],
)
def test_every_channel_is_heard_where_its_label_says(
    labels: tuple[int, ...], sides: list[set[int]], tmp_path: Path
) -> None:
    case = Case("film", "pcm_s16le", f"{len(labels)} channels", box=chan(labels))
    assert pitches(heard(channel_layouts.write(tmp_path, case))) == sides


def test_of_ambisonic_sound_the_omnidirectional_channel_is_taken(tmp_path: Path) -> None:
    case = Case("film", "libopus", "4 channels", ".mkv", options=(("mapping_family", "2"),))
    assert pitches(heard(channel_layouts.write(tmp_path, case, seconds=0.5))) == [{0}]


def test_more_channels_than_anything_records_are_not_read(tmp_path: Path) -> None:
    assert tracks.choose(channel_layouts.write(tmp_path, Case("film", "pcm_s16le", "24 channels"))) is not None
    assert tracks.choose(channel_layouts.write(tmp_path, Case("more", "pcm_s16le", "25 channels"))) is None


@pytest.mark.parametrize("layout", ["mono", "stereo", "3.0", "4.0", "5.1", "5.1(side)", "7.1", "hexagonal", "22.2"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_mix_neither_clips_nor_gets_lost(layout: str, outputs: int) -> None:
    import av  # noqa: PLC0415  # one use

    weights = np.array(matrix(labels_of(av.AudioLayout(layout), ()), outputs))
    assert weights.shape == (outputs, av.AudioLayout(layout).nb_channels)
    assert weights.min() >= 0
    assert weights.sum(axis=1) == pytest.approx(np.ones(outputs))


def test_the_mix_of_surround_sound_is_that_of_the_standard() -> None:
    """ITU-R BS.775-3, table 2: centre and surround 3 dB below the fronts."""
    (front, _, centre, low, back, _), _ = matrix(mixing.DEFAULT_LABELS[6], 2)
    assert (centre / front, back / front, low) == pytest.approx((2**-0.5, 2**-0.5, 0))


def test_a_context_loses_its_custom_layout_at_opening(tmp_path: Path) -> None:
    path = channel_layouts.write(tmp_path, Case("film", "pcm_s16le", "stereo", box=chan((RIGHT, LEFT))))
    with open_upload(path) as container:
        context = container.streams.audio[0].codec_context
        assert drop_custom_layout(context) == ("NONE", "NONE"), (
            "nothing is left of the container's names, nor of their map"
        )
