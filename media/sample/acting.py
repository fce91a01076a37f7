"""The gaze, blinks and camera movement of the sample clip, as functions of time.

So a test knows the true gaze of every frame. Angles in degrees, yaw + picture right,
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
    """The framing of one frame."""

    zoom: float  # 1 is the widest
    right: float  # shift of the picture's middle, in pixels of the portrait
    down: float
    roll_deg: float  # clockwise


def gaze_deg(time_s: float) -> tuple[float, float]:
    """Return the gaze direction; saccades take `SACCADE_S`."""
    now, before = _aim(time_s), _aim(max(0.0, time_s - SACCADE_S))
    if now == before:
        return now
    # During a saccade, which lasts one or two frames, the mean of both directions is returned.
    return (now[0] + before[0]) / 2, (now[1] + before[1]) / 2


def _aim(time_s: float) -> tuple[float, float]:
    cycle, within = divmod(time_s, CYCLE_S)
    if within < LENS_S:
        return 0.0, 0.0
    yaw, pitch = SCRIPTS_DEG[int(cycle) % len(SCRIPTS_DEG)]
    line, along = divmod(within - LENS_S, LINE_S)
    step = int(along / LINE_S * 6)  # a line is read in five or six saccades
    return yaw + LINE_DEG * (step / 2.5 - 1), pitch - 0.4 * (int(line) % 4)


def closed(time_s: float) -> float:
    """Return how far the lids are closed, 0 to 1; blinks come about every four seconds, irregularly."""
    number = int(time_s / BLINK_EVERY_S)
    at = BLINK_EVERY_S * (number + 0.5) + 0.9 * sin(2.4 * number)
    away = abs(time_s - at) / (BLINK_S / 2)
    return 0.0 if away >= 1 else min(1.0, 1.6 * (1 - away * away))


def is_into_lens(time_s: float) -> bool:
    """Return whether the eyes look into the lens."""
    return gaze_deg(time_s) == (0.0, 0.0)


def camera(time_s: float) -> Camera:
    """Return the framing: slowly drifting, as of a handheld camera."""
    return Camera(
        zoom=1.05 + 0.04 * sin(2 * pi * time_s / 17),
        right=2.2 * sin(2 * pi * time_s / 11.3) + 0.25 * sin(2 * pi * time_s / 1.7),
        down=1.6 * sin(2 * pi * time_s / 7.9) + 0.35 * sin(2 * pi * time_s / 1.3),
        roll_deg=1.1 * sin(2 * pi * time_s / 9.1),
    )
