"""The progress bar and the JSON lines of a stage."""

import io
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from media.process import output
from media.process.output import JsonLinesOutput, TerminalOutput


def use_clock(monkeypatch: pytest.MonkeyPatch, times_s: Iterator[float]) -> None:
    monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: next(times_s)))


def test_the_remaining_time_follows_from_the_share_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_clock(monkeypatch, iter([100.0, 110.0, 120.0]))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    terminal = TerminalOutput()
    terminal.progress(0.25)
    terminal.progress(0.8)
    assert " 25.0%     30 s left" in (shown := capsys.readouterr().err)
    assert " 80.0%      5 s left" in shown


def test_progress_is_written_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    use_clock(monkeypatch, iter([100.0, 100.1, 100.3]))
    stream = io.StringIO()
    lines = JsonLinesOutput(stream)
    for share in (0.1, 0.2, 0.3):
        lines.progress(share)
    lines.write({"result": {}})
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert written == [{"progress": 0.1}, {"progress": 0.3}, {"result": {}}]
