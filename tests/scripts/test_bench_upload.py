"""The benchmark of uploads, with small ones."""

from __future__ import annotations

import re

import pytest

from scripts.benchmarks import upload


def test_each_way_uploads_and_is_measured(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert upload.main(["--megabytes", "2", "--runs", "1", "--directory", str(tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [re.split(r"\s{2,}", row)[0] for row in rows] == list(upload.WAYS)
    written = [float(row.split()[-4]) for row in rows]
    assert written[0] >= 2  # stock waitress spools the body, and the application copies it
    assert all(1 <= one < 1.1 for one in written[1:])
