"""What the person in the sample clip does at each moment: where she looks, when she blinks, how the camera drifts.

Functions of time only, so that a test can know the true gaze of every frame. Angles in degrees, yaw + picture right,
pitch + up; (0, 0) is into the lens.
"""

from dataclasses import dataclass
from math import pi, sin

CYCLE_S, LENS_S = 14.0, 3.6  # each cycle begins with a look into the lens, then she reads
SCRIPTS_DEG = ((11.0, -4.0), (-11.0, -3.0), (8.0, -8.0))  # middle of the text, one after the other
LINE_DEG, LINE_S = 3.0, 1.9  # half the width of a line, time to read it
SACCADE_S = 0.07
BLINK_EVERY_S, BLINK_S = 4.3, 0.26


@dataclass(frozen=True, slots=True)
class Camera:
    """How the picture is framed."""

    zoom: float  # 1 is the widest
    right: float  # shift of the picture's middle, in pixels of the portrait
    down: float
    roll_deg: float  # clockwise


def gaze_deg(time_s: float) -> tuple[float, float]:
    """Say where the eyes look; between two places they leap within SACCADE_S."""
    now, before = _aim(time_s), _aim(max(0.0, time_s - SACCADE_S))
    if now == before:
        return now
    # Within a leap the mean of both aims stands in for the way between them; one or two frames see it.
    return (now[0] + before[0]) / 2, (now[1] + before[1]) / 2


def _aim(time_s: float) -> tuple[float, float]:
    cycle, within = divmod(time_s, CYCLE_S)
    if within < LENS_S:
        return 0.0, 0.0
    yaw, pitch = SCRIPTS_DEG[int(cycle) % len(SCRIPTS_DEG)]
    line, along = divmod(within - LENS_S, LINE_S)
    step = int(along / LINE_S * 6)  # eyes read in five or six leaps a line
    return yaw + LINE_DEG * (step / 2.5 - 1), pitch - 0.4 * (int(line) % 4)


def closed(time_s: float) -> float:
    """Say how far the lids are shut, 0 to 1; a blink comes about every four seconds, never quite in step."""
    number = int(time_s / BLINK_EVERY_S)
    at = BLINK_EVERY_S * (number + 0.5) + 0.9 * sin(2.4 * number)
    away = abs(time_s - at) / (BLINK_S / 2)
    return 0.0 if away >= 1 else min(1.0, 1.6 * (1 - away * away))


def is_into_lens(time_s: float) -> bool:
    """Say whether the eyes rest in the lens."""
    return gaze_deg(time_s) == (0.0, 0.0)


def camera(time_s: float) -> Camera:
    """Say how the camera is held: slowly drifting, as in a hand."""
    return Camera(
        zoom=1.05 + 0.04 * sin(2 * pi * time_s / 17),
        right=2.2 * sin(2 * pi * time_s / 11.3) + 0.25 * sin(2 * pi * time_s / 1.7),
        down=1.6 * sin(2 * pi * time_s / 7.9) + 0.35 * sin(2 * pi * time_s / 1.3),
        roll_deg=1.1 * sin(2 * pi * time_s / 9.1),
    )
