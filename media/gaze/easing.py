"""Smooth transitions between two bounds."""


def smootherstep(value: float) -> float:
    """Rise from 0 at 0 to 1 at 1 without a kink in slope or curvature; clamped outside."""
    t = min(max(value, 0.0), 1.0)
    return t * t * t * (10 - 15 * t + 6 * t * t)


def fade(value: float, whole_to_none: tuple[float, float]) -> float:
    """Return 1 up to the first bound, 0 from the second, smooth in between; bounds may fall as well as rise."""
    whole, none = whole_to_none
    return 1 - smootherstep((value - whole) / (none - whole))
