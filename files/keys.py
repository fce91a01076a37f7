"""Names of the files of jobs. A key is a relative path; its folders are the job's."""

from __future__ import annotations

from pathlib import PurePosixPath

UPLOADS, JOBS = "uploads/", "jobs/"
PART_PREFIX = "part-"
SMALL_SUFFIX = ".small.jpg"
KINDS = {"video": ".mp4", "cover": ".cover.jpg", "preview": ".preview.jpg", "gaze": ".gaze.json"}
"""The files of a part that clients can read: the last component of their URLs, and the suffix of their names."""

PICTURES = frozenset({"cover", "preview"})
"""Those of them that have small copies."""


def upload_folder(job_id: str) -> str:
    """Return the prefix of the files of an upload."""
    return f"{UPLOADS}{job_id}/"


def parts_folder(job_id: str) -> str:
    """Return the prefix of the files of the parts of a job."""
    return f"{JOBS}{job_id}/"


def source(job_id: str) -> str:
    """Return the key of an uploaded video."""
    return f"{upload_folder(job_id)}source"


def planned_part(job_id: str, number: int, unique: str = "") -> str:
    """Return the key of a part that is not rendered yet; attempts at it have the same stem.

    Args:
        job_id: of the job.
        number: of the part.
        unique: tells the part from an earlier one with the same number.
    """
    return f"{parts_folder(job_id)}{PART_PREFIX}{number:03}{f'-{unique}' if unique else ''}.mp4"


def of_attempt(part: str, attempt: str) -> str:
    """Return the key of the video that one attempt at a part makes; no other attempt writes it."""
    return f"{folder(part)}{stem(part)}.{attempt}.mp4"


def folder(key: str) -> str:
    """Return the prefix of the files in the folder of a file."""
    return f"{PurePosixPath(key).parent}/"


def stem(key: str) -> str:
    """Return the name of a file up to its first dot: all files of a part have the same."""
    return PurePosixPath(key).name.partition(".")[0]


def prefix(video: str) -> str:
    """Return how the keys of a video and of the files beside it begin."""
    return video.removesuffix(PurePosixPath(video).suffix) + "."


def beside(video: str, suffix: str) -> str:
    """Return the key of a file beside the video of a part, such as its cover."""
    return f"{prefix(video)}{suffix.removeprefix('.')}"


def small(picture: str) -> str:
    """Return the key of the small copy of a cover or a preview."""
    return picture.removesuffix(PurePosixPath(picture).suffix) + SMALL_SUFFIX


def is_small_picture(key: str) -> bool:
    """Return whether a file is a small picture, which may outlast the video."""
    return key.endswith(SMALL_SUFFIX)
