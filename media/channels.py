"""Channel layouts: made safe to touch at opening, and mixed down to mono or stereo by their labels.

PyAV 18.1 copies a layout together with the pointer to its map of channels and frees the map with every copy
(av/audio/layout.py, `get_audio_layout` and `__dealloc__`; measured 2026-11-28: abort 134). Only layouts of the "custom"
order have a map: QuickTime's `chan` and ISO's `chnl` make them. So no context may keep a custom layout. Decoders give
their frames what the context has, or a layout of their own without a map: libavcodec 62 makes a map in one place only,
for xHE-AAC, and its decoder replaces it (1,400 configurations tried, 2026-11-28).
"""

from collections.abc import Sequence
from math import sqrt

from av.audio.codeccontext import AudioCodecContext
from av.audio.layout import AudioLayout

Labels = tuple[str, ...]  # one per channel, as FFmpeg abbreviates them: "FL", "FC", "AMBI0"; "NONE" when not known

MAX_CHANNELS = 24  # ITU-R BS.2051 22.2; libav's filters end at 64
# libavutil/channel_layout.h, `AVChannel`: the order in which a mask lists its channels.
NATIVE_ORDER = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
    "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR", "BIL",
    "BIR",
)  # fmt: skip
# Those without a mask that are heard as players take them; any other number is so many microphones.
USUAL = {
    2: ("FL", "FR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
LEFT = {"FL", "BL", "FLC", "SL", "TFL", "TBL", "DL", "WL", "SDL", "TSL", "BFL", "SSL", "TTL", "BIL"}
RIGHT = {label.replace("L", "R") for label in LEFT}
FULL = {"FL", "FR", "DL", "DR", "BIL", "BIR"}
UNHEARD = {"LFE", "LFE2", "UNSD"}  # rumble, and channels that are said to be unused
BESIDE = 1 / sqrt(2)  # ITU-R BS.775-3, table 2: centre and surround in a stereo mix

# A matrix of ones and zeros makes `pan` ask libswresample for its own mix of the layout, which it may not have. This
# weight is 1 again as a 32-bit float.
ALMOST_ALL = 0.999999990

Matrix = tuple[tuple[float, ...], ...]  # a row per output channel, a weight per input channel


def make_plain(context: AudioCodecContext) -> Labels:
    """Give a codec context that is not open yet a layout without a map, and return the labels that it had.

    The order matters: the first line shares the map with the context, the assignment makes the context forget it
    without freeing it, and the end of our own copy frees it, once.
    """
    own = context.layout
    count = own.nb_channels
    if count <= 0:
        return ()
    labels = tuple(channel.name for channel in own.channels) if count <= MAX_CHANNELS else ("NONE",) * count
    context.layout = _plain_name(labels)
    return labels


def labels_of(layout: AudioLayout, known: Labels) -> Labels:
    """Return the labels of a decoded frame's channels: its own, else the container's, else the usual ones."""
    labels = tuple(channel.name for channel in layout.channels)
    if _are_known(labels):
        return labels
    if len(known) == len(labels) and _are_known(known):
        return known
    return USUAL.get(len(labels), labels)


def matrix(labels: Labels, outputs: int) -> Matrix:
    """Return how channels are mixed to one or two, so that no sum exceeds full scale.

    Two channels are left and right whatever they are called, as microphones are often mislabelled; only right before
    left is turned. Of an ambisonic sound the first channel is taken, which hears alike in all directions (ACN 0, W):
    the others have no side of their own and take from each other in a sum. Channels without a meaning count as centre.
    """
    rows = _stereo(labels)
    if outputs == 1:
        rows = [[(left + right) / 2 for left, right in zip(*rows, strict=True)]]
    loudest = max(sum(row) for row in rows)
    return tuple(tuple(weight / loudest for weight in row) for row in rows)


def pan(weights: Matrix) -> str:
    """Spell a matrix as the arguments of libavfilter's `pan`."""
    layout = "mono" if len(weights) == 1 else "stereo"
    sides = [f"c{number}={_terms(row)}" for number, row in enumerate(weights)]
    return "|".join([layout, *sides])


def outputs(labels: Labels) -> int:
    """Return how many channels a sound is published with: one for a single channel and for ambisonic sound."""
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
    if label in other or label in UNHEARD or (label.startswith("AMBI") and label != "AMBI0"):
        return 0.0
    return 1.0 if label in FULL & side else BESIDE


def _terms(row: Sequence[float]) -> str:
    terms = [f"{min(weight, ALMOST_ALL):.9f}*c{place}" for place, weight in enumerate(row) if weight]
    return "+".join(terms) or "0*c0"  # a side on which nothing is heard


def _plain_name(labels: Sequence[str]) -> str:
    """Spell a layout that libav keeps without a map: a mask where the order allows it, else only a number."""
    if len(labels) == 1:
        return "mono"
    places = [NATIVE_ORDER.index(label) if label in NATIVE_ORDER else -1 for label in labels]
    rises = all(before < after for before, after in zip([-1, *places], places, strict=False))
    return "+".join(labels) if rises else f"{len(labels)} channels"


def _are_known(labels: Labels) -> bool:
    return any(label != "NONE" for label in labels)


def _is_ambisonic(labels: Labels) -> bool:
    return "AMBI0" in labels
