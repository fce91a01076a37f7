"""The benchmark of uploads, with small ones."""

from __future__ import annotations

import re

import pytest

from scripts.benchmarks import upload


def test_each_way_uploads_and_is_measured(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert upload.main(["--megabytes", "2", "--runs", "1", "--directory", str(tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [re.split(r"\s{2,}", row)[0] for row in rows] == list(upload.WAYS)
    measured = {way: row for way, row in zip(upload.WAYS, rows, strict=True) if "not installed: " not in row}
    assert upload.WAYS.keys() - measured.keys() <= {"tus, @tus/server"}  # installed on request only
    written = {way: float(row.split()[-4]) for way, row in measured.items()}
    assert written.pop("form, stock waitress and Falcon") >= 2  # it spools the body, and the application copies it
    written.pop("tus, @tus/server", None)
    assert all(1 <= one < 1.1 for one in written.values())
