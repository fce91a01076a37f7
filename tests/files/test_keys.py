"""Keys: files of one part share a stem; two attempts at it share no name."""

from __future__ import annotations

from files import keys

PART = "jobs/job_1/part-002-ab.3f.mp4"


def test_attempts_at_a_part_have_names_of_their_own_with_the_same_stem() -> None:
    planned = keys.planned_part("job_1", 2, "ab")
    assert planned == "jobs/job_1/part-002-ab.mp4"
    assert keys.of_attempt(planned, "3f") == PART
    assert keys.of_attempt(PART, "4e") == "jobs/job_1/part-002-ab.4e.mp4"
    assert {keys.stem(key) for key in (planned, PART)} == {"part-002-ab"}


def test_the_files_beside_a_video_begin_with_its_prefix() -> None:
    cover = keys.beside(PART, ".cover.jpg")
    assert cover == "jobs/job_1/part-002-ab.3f.cover.jpg"
    assert keys.small(cover) == "jobs/job_1/part-002-ab.3f.cover.small.jpg"
    assert keys.is_small_picture(keys.small(cover))
    assert not keys.is_small_picture(cover)
    assert all(key.startswith(keys.prefix(PART)) for key in (PART, cover, keys.small(cover)))


def test_names_of_earlier_versions_work_on() -> None:
    """Rows of parts that were rendered before attempts were in the names keep their paths."""
    assert keys.beside("jobs/job_1/part-001.mp4", ".gaze.json") == "jobs/job_1/part-001.gaze.json"
    assert keys.prefix("jobs/job_1/part-001.mp4") == "jobs/job_1/part-001."
