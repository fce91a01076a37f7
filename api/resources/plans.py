"""The plan of a job: its cuts, and by what they can be moved."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field

from actors.flow import cut_commands, cut_plan
from actors.flow.cut_commands import BadCut, WantedPart
from actors.flow.cut_plan import MAX_CHOSEN_PARTS, MAX_PART_SECONDS, MIN_PART_SECONDS, SENTENCES, CutPlan, Outdated
from api.http import conditional, json_body
from api.http.problems import Problem, invalid_field, not_found
from api.resources import documents
from api.resources.base import Resource
from api.resources.publications import refusals
from store import job_plans
from store.job_plans import JobPlan

MAX_BODY_BYTES = 128 * MAX_CHOSEN_PARTS
"""A part with all its decimals takes 70 bytes."""

Seconds = Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)]


class PlanPart(BaseModel):
    """A part as it is to be cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start_s: Annotated[Seconds, Field(description="Start in the uploaded video, in seconds; the nearest frame counts.")]
    end_s: Annotated[
        Seconds, Field(description="End; if the next part has exactly this start, no frame is lost between them.")
    ]
    gaze_intensity: Annotated[
        Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None,
        Field(description="0 to 1, 0: as filmed. null or omitted: that of the job."),
    ] = None

    def cut(self) -> WantedPart:
        """Return the part for the command."""
        return WantedPart(self.start_s, self.end_s, self.gaze_intensity)


class PlanChange(BaseModel):
    """All parts of a video, in order; what lies between two of them is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    parts: Annotated[
        list[PlanPart],
        Field(min_length=1, max_length=MAX_CHOSEN_PARTS, description="All parts of the new plan, each 6 to 60 s long."),
    ]


class PlanResource(Resource):
    """GET and PUT /jobs/{job_id}/plan."""

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Show the plan of a job; 304 if it is unchanged since the given ETag."""
        with self._context.store.reading() as connection:
            plan = cut_plan.read(self._context, connection, job_id)
            kept = job_plans.get(connection, job_id)
        if plan is None:
            raise not_found("job")
        response.cache_control = ["private", "no-cache"]
        if not conditional.not_modified(request, response, plan.version):
            response.media = document(plan, kept)

    def on_put(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Change the cuts of a job; only the parts that differ are rendered again."""
        wanted = json_body.read_body(request, PlanChange, MAX_BODY_BYTES)
        version = conditional.required_tag(request)
        with refusals("job"):
            try:
                plan = cut_commands.change(self._context, job_id, version, [part.cut() for part in wanted.parts])
            except BadCut as bad:
                raise invalid_field(f"parts[{bad.index}].{bad.field}", bad.detail) from None
            except Outdated as outdated:
                raise changed_meanwhile(outdated) from None
        with self._context.store.reading() as connection:
            kept = job_plans.get(connection, job_id)
        response.etag = plan.version
        response.media = document(plan, kept)


def changed_meanwhile(outdated: Outdated) -> Problem:
    """Return the 412 for a request about an earlier plan."""
    tag = f'"{outdated.version}"'
    detail = "the parts have changed since they were read; read them again"
    return Problem(412, "plan_changed", detail, headers={"ETag": tag}, etag=tag)


def document(plan: CutPlan, kept: JobPlan | None) -> documents.PlanDocument:
    """Return the document of a plan.

    Args:
        plan: the plan.
        kept: its pauses and peaks; None: there are none.
    """
    return {
        "duration_s": None if plan.rate is None else plan.seconds(plan.total),
        "frame_rate": None if plan.rate is None else str(plan.rate),
        "min_part_s": MIN_PART_SECONDS,
        "max_part_s": MAX_PART_SECONDS,
        "gaze_intensity": plan.job.gaze_intensity,
        "editable": plan.obstacle is None,
        "reason": plan.obstacle,
        "reason_text": None if plan.obstacle is None else SENTENCES[plan.obstacle],
        "parts": [
            {
                "number": part.number,
                "start_s": plan.seconds(part.first),
                "end_s": plan.seconds(part.first + part.frames),
                "cut_reason": part.cut_reason,
                "gaze_intensity": part.gaze_intensity,
                "begun": part.begun,
            }
            for part in plan.parts
        ],
        "pauses": [{"start_s": start_s, "end_s": end_s} for start_s, end_s in (kept.pauses if kept else ())],
        "peaks": None
        if kept is None or kept.peaks is None
        else {"per_s": kept.peaks["per_s"], "values": kept.peaks["values"]},
    }
