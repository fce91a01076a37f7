"""Removes custom channel layouts from codec contexts when a container is opened.

PyAV 18.1 copies a layout together with the pointer to its channel map, and frees the map with every copy
(av/audio/layout.py, `get_audio_layout` and `__dealloc__`; measured 2026-11-28: exit code 134, abort). Only layouts of
the order "custom" have a map; QuickTime's `chan` and ISO's `chnl` create them. So no codec context may keep a custom
layout. Decoders give their frames the context's layout, or one of their own without a map: libavcodec 62 allocates a
map only for xHE-AAC, and its decoder replaces it (1,400 configurations tried, 2026-11-28).
"""

from collections.abc import Sequence

from av.audio.codeccontext import AudioCodecContext

Labels = tuple[str, ...]  # one per channel, FFmpeg's abbreviations: "FL", "FC", "AMBI0"; "NONE" if unknown

MAX_CHANNELS = 24  # ITU-R BS.2051 22.2; libav's filters end at 64
# libavutil/channel_layout.h, `AVChannel`: the order in which a mask lists its channels.
NATIVE_ORDER = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
    "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR", "BIL",
    "BIR",
)  # fmt: skip


def drop_custom_layout(context: AudioCodecContext) -> Labels:
    """Replace the layout of a codec context that is not open yet by one without a map; return the original labels.

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


def _native_layout_name(labels: Sequence[str]) -> str:
    """Return the name of a layout without a map: a mask where the order allows it, else a channel count."""
    if len(labels) == 1:
        return "mono"
    places = [NATIVE_ORDER.index(label) if label in NATIVE_ORDER else -1 for label in labels]
    rises = all(before < after for before, after in zip([-1, *places], places, strict=False))
    return "+".join(labels) if rises else f"{len(labels)} channels"
