"""The verdict: what has to hold after the faults, as pure functions of the evidence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.fault_injection.evidence import Evidence, Json, Post
from scripts.fault_injection.uploads import Upload

ENDED = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})
PLATFORMS = ("instagram", "tiktok", "youtube")
PUBLIC = frozenset({"published"})
SHORTEST_REASON = 10  # characters
DURATION_TOLERANCE_S = 0.15  # of each part; a frame has 0.07 s
COLOUR_TOLERANCE = 30  # of 255
MORE_MEMORY_MB = 40.0  # than after the start, when a service has not worked yet
MORE_DESCRIPTORS = 16  # than after the start; connections to clients and pooled ones


@dataclass(frozen=True)
class Finding:
    """Something that does not hold."""

    subject: str
    detail: str


Check = Callable[[Evidence], Iterator[Finding]]


def every_accepted_upload_has_its_job(evidence: Evidence) -> Iterator[Finding]:
    """Find accepted uploads that have vanished."""
    for upload in evidence.uploads:
        if upload.job_id is not None and upload.job_id not in evidence.jobs:
            yield Finding(upload.title, f"accepted as {upload.job_id}, but there is no such job")
        if not upload.answered:
            yield Finding(upload.title, f"no answer, {upload.refusal}")


def every_job_has_one_upload(evidence: Evidence) -> Iterator[Finding]:
    """Find jobs that no client knows, and uploads that became two jobs."""
    known = Counter(upload.job_id for upload in evidence.uploads if upload.job_id is not None)
    for job_id, job in evidence.jobs.items():
        if known[job_id] != 1:
            yield Finding(job["title"], f"job {job_id} belongs to {known[job_id]} uploads")


def every_job_has_ended(evidence: Evidence) -> Iterator[Finding]:
    """Find jobs that have neither ended nor wait for a person."""
    for job in evidence.jobs.values():
        if job["status"] not in ENDED and not waits_for_a_person(job):
            yield Finding(job["title"], f"{job['job_id']} is still {job['status']}: {_open_parts(job)}")


def waits_for_a_person(job: Json) -> bool:
    """Return whether a job shows that it waits for a decision."""
    states = {post["status"] for part in job["segments"] for post in part["publications"]}
    return job["status"] == "review" or bool(states & {"outcome_unknown", "action_needed"})


def _open_parts(job: Json) -> str:
    return ", ".join(
        f"part {part['number']} {part['status']} "
        + " ".join(f"{p['platform']}={p['status']}" for p in part["publications"])
        for part in job["segments"]
        if part["status"] != "done"
    )


def no_post_twice(evidence: Evidence) -> Iterator[Finding]:
    """Find parts that an account shows twice."""
    counts = Counter((post.platform, post.account, _title(evidence, post), post.part) for post in evidence.posts)
    for (platform, account, title, part), number in counts.items():
        if number > 1:
            yield Finding(title, f"part {part} is {number} times on {platform} {account}")


def every_post_is_recorded(evidence: Evidence) -> Iterator[Finding]:
    """Compare the posts of the mock platforms with the publications in the status, both ways."""
    public = Counter((post.platform, _title(evidence, post), post.part) for post in evidence.posts)
    expected: set[tuple[str, str, int]] = set()
    for job in evidence.jobs.values():
        for part in job["segments"]:
            for publication in part["publications"]:
                post = (publication["platform"], job["title"], part["number"])
                expected.add(post)
                if publication["status"] == "published" and not public[post]:
                    yield Finding(job["title"], f"part {part['number']} is not on {post[0]}, but is called published")
                if publication["status"] not in {"published", "outcome_unknown"} and public[post]:
                    yield Finding(
                        job["title"], f"part {part['number']} is on {post[0]}, but is called {publication['status']}"
                    )
    for post in public.keys() - expected:
        yield Finding(post[1], f"part {post[2]} is on {post[0]} without a record")


def parts_are_in_order(evidence: Evidence) -> Iterator[Finding]:
    """Find accounts on which the parts of a video are not in order."""
    for (title, platform), found in _series(evidence).items():
        numbers = [post.part for post in sorted(found, key=lambda post: post.created_at)]
        if numbers != sorted(numbers):
            yield Finding(title, f"parts on {platform} in the order {numbers}")


def published_series_are_whole(evidence: Evidence) -> Iterator[Finding]:
    """Compare the parts of completed talks with the clip: number, length, colour, the same bytes everywhere."""
    series = _series(evidence)
    for upload, job in _talks(evidence):
        if job["status"] != "completed":
            continue
        bytes_of: dict[int, set[str]] = defaultdict(set)
        for platform in PLATFORMS:
            found = series.get((upload.title, platform), [])
            length_s = sum(post.duration_s for post in found)
            if [post.part for post in sorted(found, key=lambda post: post.part)] != list(
                range(1, len(job["segments"]) + 1)
            ):
                yield Finding(upload.title, f"{platform} has parts {sorted(post.part for post in found)}")
            elif abs(length_s - upload.clip.duration_s) > DURATION_TOLERANCE_S * len(found):
                yield Finding(upload.title, f"{length_s:.2f} s on {platform} of {upload.clip.duration_s:.2f} s")
            for post in found:
                bytes_of[post.part].add(post.sha256)
                if not _is_like(post, upload):
                    yield Finding(upload.title, f"part {post.part} on {platform} is of another video: {post.colour}")
        for part, different in bytes_of.items():
            if len(different) > 1:
                yield Finding(upload.title, f"part {part} is not the same file on all platforms")


def _is_like(post: Post, upload: Upload) -> bool:
    wanted = upload.clip.colour or post.colour
    return all(abs(seen - right) <= COLOUR_TOLERANCE for seen, right in zip(post.colour, wanted, strict=True))


def every_failure_has_a_reason(evidence: Evidence) -> Iterator[Finding]:
    """Find failures without a sentence about them."""
    for job in evidence.jobs.values():
        reasons = [job["error"]] if job["status"] == "failed" and not job["segments"] else []
        for part in job["segments"]:
            reasons += [part["reason"]] if part["status"] == "failed" else []
            failed = [
                post for post in part["publications"] if post["status"] in {"failed", "outcome_unknown", "expired"}
            ]
            reasons += [post["reason"] for post in failed]
        for reason in reasons:
            if len(str(reason or "")) < SHORTEST_REASON:
                yield Finding(job["title"], f"{job['job_id']} failed with the reason {reason!r}")


def no_talk_is_called_a_bad_file(evidence: Evidence) -> Iterator[Finding]:
    """Find whole videos that were refused as if they were not."""
    for upload in evidence.uploads:
        if upload.clip.is_talk and upload.job_id is None and upload.answered:
            yield Finding(upload.title, f"a whole video was refused: {upload.refusal}")
    for upload, job in _talks(evidence):
        if job["status"] == "failed" and not job["segments"] and not job["attempts"]:
            yield Finding(upload.title, f"a whole video was refused: {job['error']}")


def no_video_is_left(evidence: Evidence) -> Iterator[Finding]:
    """Find video files of jobs that need none any more."""
    keep = {
        job_id
        for job_id, job in evidence.jobs.items()
        if job["status"] != "completed" and (job["segments"] or job["status"] not in ENDED)
    }
    for file in evidence.files:
        if not any(job_id in file for job_id in keep):
            yield Finding(file, "is left")


def database_is_intact(evidence: Evidence) -> Iterator[Finding]:
    """Find what SQLite says of its file."""
    if evidence.integrity != "ok":
        yield Finding("database", evidence.integrity[:500])


def nothing_is_in_flight(evidence: Evidence) -> Iterator[Finding]:
    """Find messages that are ready or claimed, and processes that were left."""
    for queue, number in evidence.queues.items():
        if number:
            yield Finding(queue, f"{number} messages are ready or claimed")
    if evidence.processes_left:
        yield Finding("processes", f"{evidence.processes_left} have survived the stop")


def machine_is_healthy(evidence: Evidence) -> Iterator[Finding]:
    """Find what the health report complains of."""
    if evidence.health.get("status") != "ok":
        yield Finding("health", str(evidence.health)[:500])


def webhooks_tell_each_event_once(evidence: Evidence) -> Iterator[Finding]:
    """Compare the events with the final states; repeated deliveries have the id of the first."""
    verified = {hook.id: hook.event for hook in evidence.webhooks if hook.verified}
    for hook in evidence.webhooks:
        if hook.id not in verified:
            yield Finding(hook.id, "never arrived with a valid signature")
        elif verified[hook.id] != hook.event:
            yield Finding(hook.id, "was delivered with two different contents")
    told = Counter(
        (event["type"], event["data"].get("job_id"), event["data"].get("part"), event["data"].get("platform"))
        for event in verified.values()
    )
    for key, number in sorted(told.items(), key=str):
        if number > 1 and key[0] in {"job.created", "publication.published", "job.completed", "segment.ready"}:
            yield Finding(str(key[1]), f"{number} events {key[0]} of part {key[2]} on {key[3]}")
    for job_id, job in evidence.jobs.items():
        for expected in _expected_events(job_id, job):
            if not told[expected]:
                yield Finding(job["title"], f"no event {expected[0]} of part {expected[2]} on {expected[3]}")


def _expected_events(job_id: str, job: Json) -> Iterator[tuple[str, str, int | None, str | None]]:
    yield "job.created", job_id, None, None
    if job["status"] in {"completed", "failed"}:
        yield f"job.{job['status']}", job_id, None, None
    for part in job["segments"]:
        for post in part["publications"]:
            if post["status"] == "published":
                yield "publication.published", job_id, part["number"], post["platform"]


def no_service_has_grown(evidence: Evidence) -> Iterator[Finding]:
    """Find services that have many more open descriptors than after their start, or much more memory."""
    for name, after in evidence.after.items():
        before = evidence.before.get(name, after)
        if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
            yield Finding(name, f"{after.descriptors} open descriptors, {before.descriptors} after the start")
        if after.memory_mb > before.memory_mb + MORE_MEMORY_MB:
            yield Finding(name, f"{after.memory_mb:.0f} MB of memory, {before.memory_mb:.0f} after the start")


CHECKS: dict[str, Check] = {
    check.__name__.replace("_", " "): check
    for check in (
        every_accepted_upload_has_its_job,
        every_job_has_one_upload,
        every_job_has_ended,
        no_post_twice,
        every_post_is_recorded,
        parts_are_in_order,
        published_series_are_whole,
        every_failure_has_a_reason,
        no_talk_is_called_a_bad_file,
        no_video_is_left,
        database_is_intact,
        nothing_is_in_flight,
        machine_is_healthy,
        webhooks_tell_each_event_once,
        no_service_has_grown,
    )
}


def _talks(evidence: Evidence) -> Iterator[tuple[Upload, Json]]:
    for upload in evidence.uploads:
        if upload.clip.is_talk and upload.job_id in evidence.jobs:
            yield upload, evidence.jobs[upload.job_id]


def _title(evidence: Evidence, post: Post) -> str:
    """Return the title of the upload to which a post belongs; its whole text if there is none."""
    found = [upload.title for upload in evidence.uploads if upload.title in post.title]
    return max(found, key=len, default=post.title)


def _series(evidence: Evidence) -> dict[tuple[str, str], list[Post]]:
    found: dict[tuple[str, str], list[Post]] = defaultdict(list)
    for post in evidence.posts:
        found[_title(evidence, post), post.platform].append(post)
    return found
