"""Removes custom channel layouts at opening, and mixes channels to mono or stereo by their labels.

PyAV 18.1 copies a layout together with the pointer to its channel map, and frees the map with every copy
(av/audio/layout.py, `get_audio_layout` and `__dealloc__`; measured 2026-11-28: exit code 134, abort). Only layouts of
the order "custom" have a map; QuickTime's `chan` and ISO's `chnl` create them. So no codec context may keep a custom
layout. Decoders give their frames the context's layout, or one of their own without a map: libavcodec 62 allocates a
map only for xHE-AAC, and its decoder replaces it (1,400 configurations tried, 2026-11-28).
"""

from collections.abc import Sequence
from math import sqrt

from av.audio.codeccontext import AudioCodecContext
from av.audio.layout import AudioLayout

Labels = tuple[str, ...]  # one per channel, FFmpeg's abbreviations: "FL", "FC", "AMBI0"; "NONE" if unknown

MAX_CHANNELS = 24  # ITU-R BS.2051 22.2; libav's filters end at 64
# libavutil/channel_layout.h, `AVChannel`: the order in which a mask lists its channels.
NATIVE_ORDER = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
    "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR", "BIL",
    "BIR",
)  # fmt: skip
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


def drop_custom_layout(context: AudioCodecContext) -> Labels:
    """Give a codec context that is not open yet a layout without a map; return the original labels.

    The order matters: the getter shares the map with the context, the setter replaces it without freeing it, and the
    destructor of the local copy frees it once.
    """
    own = context.layout
    count = own.nb_channels
    if count <= 0:
        return ()
    labels = tuple(channel.name for channel in own.channels) if count <= MAX_CHANNELS else ("NONE",) * count
    context.layout = _native_layout_name(labels)
    return labels


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


def _native_layout_name(labels: Sequence[str]) -> str:
    """Return the name of a layout without a map: a mask where the order allows it, else a channel count."""
    if len(labels) == 1:
        return "mono"
    places = [NATIVE_ORDER.index(label) if label in NATIVE_ORDER else -1 for label in labels]
    rises = all(before < after for before, after in zip([-1, *places], places, strict=False))
    return "+".join(labels) if rises else f"{len(labels)} channels"


def _are_known(labels: Labels) -> bool:
    return any(label != "NONE" for label in labels)


def _is_ambisonic(labels: Labels) -> bool:
    return "AMBI0" in labels
