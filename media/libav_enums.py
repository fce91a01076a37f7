"""Lets PyAV's enumerations stand for numbers that its libav knows and PyAV does not.

PyAV 18.1 builds an enumeration's member for every piece of side data of a frame; libav 62 has kinds that PyAV's lists
lack (the view of spatial video, EXIF), and one of them made reading any other, such as the rotation, a ValueError.
"""

import enum

from av.sidedata.encparams import VideoEncParamsType
from av.sidedata.sidedata import Type
from av.video.frame import PictureType

# The only ones that PyAV builds from a file's own numbers; flags keep unknown bits by themselves (its source, 18.1).
FROM_FILES: tuple[type[enum.Enum], ...] = (Type, PictureType, VideoEncParamsType)


def accept_unknown() -> None:
    """Give each unknown number a member of its own, "UNKNOWN_29", instead of an error."""
    for kind in FROM_FILES:
        kind._missing_ = classmethod(_unknown)  # type: ignore[assignment]  # the hook that the standard library gives


def _unknown(kind: type[enum.Enum], value: object) -> enum.Enum | None:
    if not isinstance(value, int):
        return None
    member = int.__new__(kind, value) if issubclass(kind, int) else object.__new__(kind)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member
