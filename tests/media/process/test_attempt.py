"""The output files of an attempt, and what a hostile child may have put in their place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from media.errors import ChildFailed
from media.process.attempt import OutputFiles, output_files


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("of somebody else")
    return tmp_path / "part-001.mp4"


def _temporary(made: OutputFiles, target: Path) -> Path:
    return Path(made.argument(str(target)))


def test_what_was_written_is_renamed_and_what_was_left_empty_is_not(target: Path) -> None:
    report = target.with_suffix(".json")
    with output_files([target, report]) as made:
        _temporary(made, target).write_text("a part")
        made.keep()
    assert target.read_text() == "a part"
    assert not report.exists()
    assert sorted(path.name for path in target.parent.iterdir()) == ["part-001.mp4", "secret"]


def test_other_arguments_stay(target: Path) -> None:
    with output_files([target]) as made:
        assert [made.argument(text) for text in ("--title", "a/b", "/etc/hosts")] == ["--title", "a/b", "/etc/hosts"]


@pytest.mark.parametrize("kind", ["symlink", "hard link", "pipe", "directory"])
def test_anything_but_its_own_file_is_refused(kind: str, target: Path) -> None:
    """With Landlock the child cannot do that; without it, the parent must not follow a link."""
    secret = target.parent / "secret"
    with output_files([target]) as made:
        temporary = _temporary(made, target)
        temporary.unlink()
        match kind:
            case "symlink":
                temporary.symlink_to(secret)
            case "hard link":
                temporary.hardlink_to(secret)
            case "pipe":
                os.mkfifo(temporary)
            case "directory":
                temporary.mkdir()
        with pytest.raises(ChildFailed):
            made.keep()
    assert not os.path.lexists(target)
    assert secret.read_text() == "of somebody else"


def test_the_files_of_a_killed_parent_are_removed_and_those_of_a_living_one_stay(target: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from media.process.attempt import output_files\n"
        "with output_files([Path(sys.argv[1])]): print('made', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen([sys.executable, "-c", code, str(target)], cwd=root, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"made\n"
    [stale] = target.parent.glob(".*.attempt")
    with output_files([target]):
        assert stale.exists()
    parent.kill()
    parent.communicate()
    with output_files([target]):
        assert not stale.exists()
