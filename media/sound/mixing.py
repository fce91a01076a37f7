"""Mixes the channels of a sound to mono or stereo by their labels."""

from collections.abc import Sequence
from math import sqrt

from av.audio.layout import AudioLayout

from media.container.channel_layouts import Labels

# Labels of layouts without a mask, as players assume them. Other channel counts are taken for separate microphones.
DEFAULT_LABELS = {
    2: ("FL", "FR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
LEFT = {"FL", "BL", "FLC", "SL", "TFL", "TBL", "DL", "WL", "SDL", "TSL", "BFL", "SSL", "TTL", "BIL"}
RIGHT = {label.replace("L", "R") for label in LEFT}
FULL_WEIGHT = {"FL", "FR", "DL", "DR", "BIL", "BIR"}
LEFT_OUT = {"LFE", "LFE2", "UNSD"}  # low-frequency effects, and channels marked as unused
MINUS_3_DB = 1 / sqrt(2)  # ITU-R BS.775-3, table 2: centre and surround in a stereo mix

# With weights of 0 and 1 only, `pan` uses libswresample's own mix of the layout, which may not exist. This weight
# becomes 1 as a 32-bit float.
NEARLY_ONE = 0.999999990

Matrix = tuple[tuple[float, ...], ...]  # a row per output channel, a weight per input channel


def labels_of(layout: AudioLayout, known: Labels) -> Labels:
    """Return the labels of a decoded frame: its own, else the container's, else the default ones."""
    labels = tuple(channel.name for channel in layout.channels)
    if _are_known(labels):
        return labels
    if len(known) == len(labels) and _are_known(known):
        return known
    return DEFAULT_LABELS.get(len(labels), labels)


def matrix(labels: Labels, outputs: int) -> Matrix:
    """Return the mixing weights for one or two output channels; no sum exceeds full scale.

    Two channels are left and right whatever their labels, because microphones are often mislabelled; only right before
    left is swapped. Of ambisonic sound only the omnidirectional channel is used (ACN 0, W): the others have no side,
    and cancel each other in a sum. Channels without a known label count as centre.
    """
    rows = _stereo(labels)
    if outputs == 1:
        rows = [[(left + right) / 2 for left, right in zip(*rows, strict=True)]]
    loudest = max(sum(row) for row in rows)
    return tuple(tuple(weight / loudest for weight in row) for row in rows)


def pan(weights: Matrix) -> str:
    """Return a matrix as the arguments of libavfilter's `pan`."""
    layout = "mono" if len(weights) == 1 else "stereo"
    sides = [f"c{number}={_terms(row)}" for number, row in enumerate(weights)]
    return "|".join([layout, *sides])


def output_count(labels: Labels) -> int:
    """Return the number of published channels: one for a single channel and for ambisonic sound, else two."""
    return 1 if len(labels) == 1 or (_is_ambisonic(labels) and not LEFT & set(labels)) else 2


def _stereo(labels: Labels) -> list[list[float]]:
    if len(labels) == 2 and not _is_ambisonic(labels):
        order = (1, 0) if labels == ("FR", "FL") else (0, 1)
        return [[float(place == side) for place in (0, 1)] for side in order]
    if len(labels) == 1:
        return [[1.0], [1.0]]
    rows = [[_weight(label, side, other) for label in labels] for side, other in ((LEFT, RIGHT), (RIGHT, LEFT))]
    return rows if any(map(any, rows)) else [[1.0] * len(labels)] * 2


def _weight(label: str, side: set[str], other: set[str]) -> float:
    if label in other or label in LEFT_OUT or (label.startswith("AMBI") and label != "AMBI0"):
        return 0.0
    return 1.0 if label in FULL_WEIGHT & side else MINUS_3_DB


def _terms(row: Sequence[float]) -> str:
    terms = [f"{min(weight, NEARLY_ONE):.9f}*c{place}" for place, weight in enumerate(row) if weight]
    return "+".join(terms) or "0*c0"  # a silent side


def _are_known(labels: Labels) -> bool:
    return any(label != "NONE" for label in labels)


def _is_ambisonic(labels: Labels) -> bool:
    return "AMBI0" in labels
