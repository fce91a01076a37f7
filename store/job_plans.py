"""Job plans: the pauses, peaks and key frames of a video, by which its cuts can be moved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from store import rows
from store.tables import job_plans


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """The facts that are kept of a plan. Columns are explained in `store.tables`."""

    job_id: str
    pauses: list[list[float]]
    peaks: dict[str, Any] | None  # Any: JSON
    key_frames: list[list[int]]


def create(connection: Connection, plan: JobPlan) -> None:
    """Store what is kept of a plan."""
    connection.execute(job_plans.insert().values(**asdict(plan)))


def get(connection: Connection, job_id: str) -> JobPlan | None:
    """Return what is kept of a job's plan; None if its version was earlier, or its files are deleted."""
    return rows.fetch_one(connection, select(job_plans).where(job_plans.c.job_id == job_id), JobPlan)


def delete(connection: Connection, job_id: str) -> None:
    """Delete what is kept of a job's plan."""
    connection.execute(job_plans.delete().where(job_plans.c.job_id == job_id))
