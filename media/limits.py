"""The limits that an upload must keep; no video library.

Chosen for a machine of 512 MB; the platforms' requirements on a part are in `media.writing.encode`.
"""

MIN_SECONDS = 3  # the platforms' minimum for one post (TikTok, Instagram; read 2026-11-22)
MAX_SECONDS = 3 * 3600
MAX_SIDE = 4096
MAX_PIXELS = 4096 * 2304  # all formats that cameras call 4K; a decoded picture takes 14 MB
MAX_STREAMS = 32  # phones write up to eight, action cameras some more
# Memory of a render beside decoded pictures, and the minimum of pictures that a decoder keeps. Measured
# 2026-11-26, own memory of a render without gaze correction: 4K H.264 179 to 245 MiB, HEVC 253, with 10 bits 355;
# 1080p HLG 190.
RENDER_BYTES, PICTURES_KEPT = 130 << 20, 7
# The largest part: `media.writing.encode` encodes at most 7.5 Mbit/s and a buffer of 15 Mbit beyond it, a stream copy
# keeps the same limits, and a copied sound has at most 160 kbit/s. Index, cover, preview and report are about 1 MiB.
MAX_PART_BITS_S, PART_EXTRA_BYTES = 7_660_000, 4 << 20
MIN_FRAMES_A_SECOND = 0.1  # on average; otherwise a file of kilobytes could become hours of stills
STILL_SECONDS = 60  # of sound without pictures that do not count for this minimum, such as speech over a still
MAX_FRAMES = 3_000_000  # slightly more than three hours at 240 a second
MIN_PART_SECONDS, MAX_PART_SECONDS = 6, 60  # of a part whose cuts a person has chosen
MAX_CHOSEN_PARTS = MAX_SECONDS // MIN_PART_SECONDS  # in a plan that a person has chosen
# What a plan keeps so that cuts can be moved. In three hours, pauses and key frames are 5 s apart.
MAX_PAUSES, MAX_KEY_FRAMES, MAX_PEAKS = 2000, 2000, 4000
