"""The parts that all publishers share."""

from __future__ import annotations

import pytest

from platforms.contract import Advanced, Handle
from platforms.errors import PostFailed
from platforms.steps import GIVE_UP_RESUMING_S, MIN_RESUMES, RESUME_CADENCE_S, Pacing, resume_upload
from tests.support.clock import Clock


def _resume(clock: Clock, handle: Handle) -> Handle:
    """Report that no byte has arrived; return the next handle after its pause."""
    outcome = resume_upload(Pacing(clock=clock.timestamp), handle, 0)
    assert isinstance(outcome, Advanced)
    clock.move(seconds=outcome.again_after_s)
    return outcome.handle


def test_an_upload_that_gets_no_byte_for_a_day_of_tries_has_failed() -> None:
    clock, handle = Clock(), Handle("locate")
    began = clock.timestamp()
    with pytest.raises(PostFailed, match="upload_unanswered"):
        while True:
            handle = _resume(clock, handle)
    assert 0 <= clock.timestamp() - began - GIVE_UP_RESUMING_S <= RESUME_CADENCE_S[-1]


def test_days_in_which_the_machine_was_off_do_not_end_an_upload() -> None:
    """Two lost connections, and two days without power between them."""
    clock = Clock()
    handle = _resume(clock, Handle("locate"))
    clock.move(days=2)
    for _ in range(MIN_RESUMES - 1):
        handle = _resume(clock, handle)
    assert handle.step == "upload"
