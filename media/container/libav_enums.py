"""Makes PyAV's enumerations accept numbers that libav knows and PyAV does not.

PyAV 18.1 creates an enumeration member for each piece of a frame's side data. libav 62 has types that PyAV lacks (the
view of spatial video, EXIF), and with one of them, reading any other side data raised ValueError.
"""

import enum

from av.sidedata.encparams import VideoEncParamsType
from av.sidedata.sidedata import Type
from av.video.frame import PictureType

# The enumerations that PyAV creates from numbers in a file. Flags accept unknown bits by themselves (its source, 18.1).
FROM_FILES: tuple[type[enum.Enum], ...] = (Type, PictureType, VideoEncParamsType)


def accept_unknown() -> None:
    """Make unknown numbers members such as "UNKNOWN_29" instead of an error."""
    for kind in FROM_FILES:
        kind._missing_ = classmethod(_unknown)  # type: ignore[assignment]  # the standard library's hook


def _unknown(kind: type[enum.Enum], value: object) -> enum.Enum | None:
    if not isinstance(value, int):
        return None
    member = int.__new__(kind, value) if issubclass(kind, int) else object.__new__(kind)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member
