"""A small network that reads the gaze from the pictures of both eyes, run by NumPy.

It knows nothing of people: it was trained on 200,000 eyes with known gaze, drawn by `scripts.training.rendered_eyes`.
The weights beside this file are ours; `python -m scripts.training.eye_network` made them.
Three convolutions and two layers, 0.13 ms for both eyes. As eyes that look alike may belong to different anatomies and
directions, it answers with about half of a degree for each degree of vertical gaze, on rendered eyes as on people, and
with nine tenths of one sideways.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate import eye_patch
from media.gaze.estimate.geometry import Eye

_Values = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("eye_network.npz")
CONVOLUTIONS = ("c1", "c2", "c3")  # 3 × 3, every second row and column
HEAD_VALUES, HEAD_SCALE_DEG, GAZE_SCALE_DEG = 2, 20.0, 20.0
FLAT = 3.0  # grey levels added to the deviation of a patch, so that a flat one is not all noise


def gaze_deg(luma: NDArray[np.uint8], eyes: tuple[Eye, Eye], head_deg: tuple[float, float]) -> tuple[float, float]:
    """Return the gaze of both eyes, yaw and pitch; the eye that is read with more certainty counts more.

    Args:
        luma: (H, W), of the frame.
        eyes: in pixels of the frame, the picture's left one first.
        head_deg: yaw and pitch of the head.
    """
    patches = np.stack([eye_patch.cut(luma, eye, mirrored=side == 0) for side, eye in enumerate(eyes)])
    heads = np.array([(-head_deg[0], head_deg[1]), head_deg], np.float32)
    found = run(patches, heads)
    weights = np.exp(-2 * found[:, 2:])
    gaze = GAZE_SCALE_DEG * (found[:, :2] * [(-1, 1), (1, 1)] * weights).sum(axis=0) / weights.sum(axis=0)
    return float(gaze[0]), float(gaze[1])


def run(patches: NDArray[np.uint8], heads_deg: _Values) -> _Values:
    """Return yaw and pitch over GAZE_SCALE_DEG, and the logarithms of their deviations in degrees, (n, 4).

    Args:
        patches: (n, rows, columns), see `media.gaze.estimate.eye_patch`.
        heads_deg: (n, 2).
    """
    weights = _weights()
    values = normalized(patches)[..., None]
    for name in CONVOLUTIONS:
        values = _convolved(values, weights[f"{name}.weight"], weights[f"{name}.bias"])
    flat = np.concatenate([values.reshape(len(values), -1), heads_deg / np.float32(HEAD_SCALE_DEG)], axis=1)
    hidden = np.maximum(flat @ weights["f1.weight"] + weights["f1.bias"], 0)
    return np.asarray(hidden @ weights["f2.weight"] + weights["f2.bias"], np.float32)


def normalized(patches: NDArray[np.uint8]) -> _Values:
    """Return patches of mean 0 and deviation near 1: exposure and contrast say nothing about gaze."""
    values = patches.astype(np.float32)
    mean = values.mean(axis=(1, 2), keepdims=True)
    return np.asarray((values - mean) / (values.std(axis=(1, 2), ddof=1, keepdims=True) + np.float32(FLAT)), np.float32)


def _convolved(values: _Values, weight: _Values, bias: _Values) -> _Values:
    """Return (n, rows, columns, channels) of (n, rows, columns, channels); channels last, so that copies are long."""
    count, rows, columns, channels = values.shape
    padded = np.zeros((count, rows + 2, columns + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = values
    windows = [
        padded[:, down : down + rows : 2, right : right + columns : 2] for down in range(3) for right in range(3)
    ]
    found = np.concatenate(windows, axis=3) @ weight
    found += bias
    return np.asarray(np.maximum(found, 0, out=found), np.float32)


@lru_cache(maxsize=1)
def _weights() -> dict[str, _Values]:
    """Read the weights; convolutions as (9 places x channels, outputs), layers as (inputs, outputs)."""
    with np.load(WEIGHTS) as arrays:
        weights = {name: np.asarray(arrays[name], np.float32) for name in arrays.files}
    for name in CONVOLUTIONS:
        weight = weights[f"{name}.weight"]
        weights[f"{name}.weight"] = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))
    outputs = len(weight)
    # The first layer takes the last convolution's values with channels first, then the head.
    first = weights["f1.weight"]
    places = (first.shape[1] - HEAD_VALUES) // outputs
    pixels = first[:, :-HEAD_VALUES].reshape(-1, outputs, places).transpose(2, 1, 0).reshape(-1, len(first))
    weights["f1.weight"] = np.ascontiguousarray(np.concatenate([pixels, first[:, -HEAD_VALUES:].T]))
    weights["f2.weight"] = np.ascontiguousarray(weights["f2.weight"].T)
    return weights
