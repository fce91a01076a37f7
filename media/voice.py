"""Tells how likely each 32 ms of a sound are speech, by the Silero voice activity detector run with numpy.

The weights are carried by the package `silero-vad`, which is located and never imported: it asks for PyTorch or ONNX
Runtime. The network is small (309 thousand numbers): a short-time Fourier transform and four convolutions, which look
at each window alone and are computed for many windows at once, then one LSTM cell, which goes from window to window.

Measured 2026-11-28 against ONNX Runtime 1.32 on 9.7 minutes of speech, music and noise: probabilities within 0.00003.
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.protobuf import fields

CARRIER = "silero-vad"
FILE_NAME = "silero_vad_16k_sequence.onnx"  # the weights of silero_vad.onnx in a graph without branches
SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"  # silero-vad 6.2.3; 1,246,165 bytes

SAMPLE_RATE = 16_000
WINDOW = 512  # samples for which one answer is given
WINDOW_S = WINDOW / SAMPLE_RATE
CONTEXT = 64  # samples of the window before that the network hears again; without them it hears nothing
MIRRORED = 64  # samples reflected at a window's end
FFT, HOP = 256, 128
BINS = FFT // 2 + 1
CELLS = 128
BATCH = 128  # windows at a time: 4 s, about 2 MB

Array = NDArray[np.float32]


class VoiceModelMissing(Exception):
    """The package that carries the weights is not installed, or its file is another one."""


def locate() -> Path:
    """Find the file with the weights.

    Raises:
        VoiceModelMissing: the package is not installed, or its file is not the one whose SHA-256 is written here.
    """
    try:
        listed = files(CARRIER) or []
    except PackageNotFoundError as exc:
        raise VoiceModelMissing(f"the package {CARRIER}, which carries {FILE_NAME}, is not installed") from exc
    paths = [Path(str(file.locate())) for file in listed if file.name == FILE_NAME]
    if not paths or not paths[0].is_file():
        raise VoiceModelMissing(f"the package {CARRIER} is installed without {FILE_NAME}")
    if hashlib.sha256(paths[0].read_bytes()).hexdigest() != SHA256:
        raise VoiceModelMissing(f"{paths[0]} is not the network this project was measured with")
    return paths[0]


class VoiceDetector:
    """Listens to one sound from its beginning to its end, chunk by chunk; memory does not grow with its length."""

    def __init__(self) -> None:
        self._network = network(locate())
        self._rest = np.zeros(0, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._hidden = np.zeros(CELLS, np.float32)
        self._cell = np.zeros(CELLS, np.float32)

    def hear(self, sound: Array) -> Array:
        """Return the evidence for speech in the windows that are complete now: (windows,), log-odds.

        Args:
            sound: (samples,) at `SAMPLE_RATE`, -1 to 1; follows the chunk before without a gap. Any length.

        Returns:
            Natural logarithm of the odds, about -10 to 10; `probability` turns it into 0 to 1. Window k of the whole
            sound lasts from k to k + 1 times `WINDOW_S`.
        """
        sound = np.concatenate([self._rest, sound]).astype(np.float32, copy=False)
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:].copy()
        parts = [self._windows(sound[at : min(at + BATCH * WINDOW, whole)]) for at in range(0, whole, BATCH * WINDOW)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def end(self) -> Array:
        """Return the evidence for what is left of the sound, as if silence followed: (0 or 1,), log-odds."""
        return self.hear(np.zeros(-len(self._rest) % WINDOW, np.float32))

    def _windows(self, sound: Array) -> Array:
        heard = np.concatenate([self._context, sound])
        self._context = heard[-CONTEXT:].copy()
        windows = np.lib.stride_tricks.sliding_window_view(heard, CONTEXT + WINDOW)[::WINDOW]
        hidden = self._remember(self._network.gates(windows))
        return np.asarray(np.maximum(hidden, 0) @ self._network.output + self._network.output_bias, np.float32)

    def _remember(self, gates: Array) -> Array:
        """Run the LSTM cell over what the convolutions say of each window: (windows, 4 * CELLS) to (windows, CELLS).

        A logistic function is half a hyperbolic tangent of half its argument; the halves of the arguments are in the
        weights. So one call serves all four gates, and nothing overflows.
        """
        hidden, cell, recurrent = self._hidden, self._cell, self._network.recurrent
        states = np.empty((len(gates), CELLS), np.float32)
        for at, gate in enumerate(gates):
            now = np.tanh(gate + hidden @ recurrent)
            opened = now[: 3 * CELLS] * 0.5 + 0.5
            cell = opened[2 * CELLS :] * cell + opened[:CELLS] * now[3 * CELLS :]
            hidden = opened[CELLS : 2 * CELLS] * np.tanh(cell)
            states[at] = hidden
        self._hidden, self._cell = hidden, cell
        return states


def probability(evidence: Array) -> Array:
    """Turn log-odds into a probability, 0 to 1."""
    return np.asarray(0.5 * np.tanh(0.5 * evidence) + 0.5, np.float32)


@dataclass(frozen=True)
class Network:
    """The weights as matrices that are multiplied from the right; gates in the order input, output, forget, cell."""

    basis: Array  # (FFT, 2 * BINS): real parts, then imaginary parts, windowed
    convolutions: tuple[tuple[Array, Array, int], ...]  # (3 * channels in, channels out), (channels out,), stride
    entry: Array  # (CELLS, 4 * CELLS)
    recurrent: Array  # (CELLS, 4 * CELLS)
    gate_bias: Array  # (4 * CELLS,)
    output: Array  # (CELLS,)
    output_bias: np.float32

    def gates(self, windows: Array) -> Array:
        """Return what each window alone gives to the LSTM's gates.

        Args:
            windows: (windows, CONTEXT + WINDOW) samples.

        Returns:
            (windows, 4 * CELLS), before the activation.
        """
        mirrored = np.concatenate([windows, windows[:, -2 : -2 - MIRRORED : -1]], axis=1)
        frames = np.lib.stride_tricks.sliding_window_view(mirrored, FFT, axis=1)[:, ::HOP]
        waves = frames.reshape(-1, FFT) @ self.basis
        seen = np.sqrt(waves[:, :BINS] ** 2 + waves[:, BINS:] ** 2).reshape(len(windows), -1, BINS)
        for weights, bias, stride in self.convolutions:
            seen = _convolved(seen, weights, bias, stride)
        return np.asarray(seen[:, 0] @ self.entry + self.gate_bias, np.float32)


def _convolved(seen: Array, weights: Array, bias: Array, stride: int) -> Array:
    """Convolve over time with three taps, zeros beyond both ends, and cut off what is negative.

    Args:
        seen: (windows, times, channels in).
        weights: (3 * channels in, channels out), the first tap's channels first.
        bias: (channels out,).
        stride: steps of time from one result to the next.
    """
    padded = np.pad(seen, ((0, 0), (1, 1), (0, 0)))
    taps = [padded[:, tap : tap + seen.shape[1] : stride] for tap in range(3)]
    return np.asarray(np.maximum(np.concatenate(taps, axis=2) @ weights + bias, 0), np.float32)


@lru_cache(maxsize=1)
def network(path: Path) -> Network:
    """Read the weights out of the ONNX file, where they are the graph's initializers.

    Raises:
        VoiceModelMissing: the file holds no such network.
    """
    try:
        given = dict(_initializers(path.read_bytes()))
        return _arranged(given)
    except (KeyError, ValueError, IndexError, struct.error) as exc:
        raise VoiceModelMissing(f"{path} holds no Silero network") from exc


def _arranged(given: dict[str, Array]) -> Network:
    halves = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), CELLS)
    # ONNX keeps the gates in the order input, output, forget, cell.
    bias = given["onnx::LSTM_211"].reshape(2, 4 * CELLS).sum(axis=0)
    strides = (1, 2, 2, 1)
    return Network(
        basis=np.ascontiguousarray(given["stft.forward_basis_buffer"][:, 0].T),
        convolutions=tuple(
            (_taps(given[f"encoder.{number}.weight"]), given[f"encoder.{number}.bias"], stride)
            for number, stride in enumerate(strides)
        ),
        entry=np.ascontiguousarray(given["onnx::LSTM_209"][0].T * halves),
        recurrent=np.ascontiguousarray(given["onnx::LSTM_210"][0].T * halves),
        gate_bias=bias * halves,
        output=given["output.weight"][0, :, 0],
        output_bias=given["output.bias"][0],
    )


def _taps(weights: Array) -> Array:
    """Turn (channels out, channels in, 3) into (3 * channels in, channels out)."""
    return np.ascontiguousarray(weights.transpose(2, 1, 0).reshape(-1, len(weights)))


def _initializers(model: bytes) -> list[tuple[str, Array]]:
    """Return the float tensors of an ONNX model by name (onnx.proto: ModelProto.graph 7, GraphProto.initializer 5)."""
    graph = b"".join(value for number, value in fields(model) if number == 7 and isinstance(value, bytes))
    return [_tensor(value) for number, value in fields(graph) if number == 5 and isinstance(value, bytes)]


def _tensor(message: bytes) -> tuple[str, Array]:
    """Read a TensorProto: 1 is a dimension, 8 the name, 9 the numbers as raw little-endian floats."""
    shape: list[int] = []
    name, raw = "", b""
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            shape.append(value)
        elif number == 8 and isinstance(value, bytes):
            name = value.decode()
        elif number == 9 and isinstance(value, bytes):
            raw = value
    return name, np.frombuffer(raw, "<f4").reshape(shape).astype(np.float32)
