"""Runs the Silero voice activity detector with numpy: the log-odds of speech for each 32 ms.

The package `silero-vad` contains the weights. It is located and never imported, because it needs PyTorch or ONNX
Runtime. The network has 309,000 weights: a short-time Fourier transform and four convolutions for each window, which
are computed for many windows at once, then one LSTM cell, which is computed window by window.

Measured 2026-11-28 against ONNX Runtime 1.32 on 9.7 minutes of speech, music and noise: probabilities within 0.00003.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media import packaged_file
from media.packaged_file import PackagedFileMissing
from media.protobuf import fields

PACKAGE = "silero-vad"
FILE_NAME = "silero_vad_16k_sequence.onnx"  # the weights of silero_vad.onnx, in a graph without branches
SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"  # silero-vad 6.2.3; 1,246,165 bytes

SAMPLE_RATE = 16_000
WINDOW = 512  # samples for each output
WINDOW_S = WINDOW / SAMPLE_RATE
CONTEXT = 64  # samples of the previous window that precede each window; without them the network does not work
MIRRORED = 64  # samples of reflection padding at a window's end
FFT, HOP = 256, 128
BINS = FFT // 2 + 1
CELLS = 128  # size of the LSTM's state
BATCH = 128  # windows at a time: 4 s, about 2 MB

Array = NDArray[np.float32]


class VoiceModelMissing(Exception):
    """The package with the weights is not installed, or contains another file."""


def locate() -> Path:
    """Find the file with the weights.

    Raises:
        VoiceModelMissing: the package is not installed, or its file has another SHA-256.
    """
    try:
        path = packaged_file.locate(PACKAGE, FILE_NAME)
    except PackagedFileMissing as exc:
        raise VoiceModelMissing(str(exc)) from exc
    if not packaged_file.has_sha256(path, SHA256):
        raise VoiceModelMissing(f"{path} is not the network this project was measured with")
    return path


class VoiceDetector:
    """Detects speech in a sound that is given in chunks; memory does not grow with its length."""

    def __init__(self) -> None:
        self._network = network(locate())
        self._rest = np.zeros(0, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._hidden = np.zeros(CELLS, np.float32)
        self._cell = np.zeros(CELLS, np.float32)

    def push(self, sound: Array) -> Array:
        """Process a chunk; return the log-odds of speech in the windows that it completes: (windows,).

        Args:
            sound: (samples,) at `SAMPLE_RATE`, -1 to 1; of any length, contiguous with the previous chunk.

        Returns:
            Natural logarithm of the odds, about -10 to 10; `probability` converts it to 0 to 1. Window k of the whole
            sound lasts from k to k + 1 times `WINDOW_S`.
        """
        sound = np.concatenate([self._rest, sound]).astype(np.float32, copy=False)
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:].copy()
        parts = [self._windows(sound[at : min(at + BATCH * WINDOW, whole)]) for at in range(0, whole, BATCH * WINDOW)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def flush(self) -> Array:
        """Return the log-odds for the rest of the sound, padded with silence: (0 or 1,)."""
        return self.push(np.zeros(-len(self._rest) % WINDOW, np.float32))

    def _windows(self, sound: Array) -> Array:
        samples = np.concatenate([self._context, sound])
        self._context = samples[-CONTEXT:].copy()
        windows = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + WINDOW)[::WINDOW]
        hidden = self._run_lstm(self._network.gates(windows))
        return np.asarray(np.maximum(hidden, 0) @ self._network.output + self._network.output_bias, np.float32)

    def _run_lstm(self, gates: Array) -> Array:
        """Run the LSTM cell over the windows: (windows, 4 * CELLS) to (windows, CELLS).

        The logistic function of x is 0.5 * tanh(0.5 * x) + 0.5; the weights contain the inner factor. So one call of
        tanh computes all four gates, and nothing overflows.
        """
        hidden, cell, recurrent = self._hidden, self._cell, self._network.recurrent
        states = np.empty((len(gates), CELLS), np.float32)
        for at, gate in enumerate(gates):
            activated = np.tanh(gate + hidden @ recurrent)
            logistic = activated[: 3 * CELLS] * 0.5 + 0.5
            cell = logistic[2 * CELLS :] * cell + logistic[:CELLS] * activated[3 * CELLS :]
            hidden = logistic[CELLS : 2 * CELLS] * np.tanh(cell)
            states[at] = hidden
        self._hidden, self._cell = hidden, cell
        return states


def probability(log_odds: Array) -> Array:
    """Convert log-odds to a probability, 0 to 1."""
    return np.asarray(0.5 * np.tanh(0.5 * log_odds) + 0.5, np.float32)


@dataclass(frozen=True)
class Network:
    """The weights as right-hand matrices; gates in the order input, output, forget, cell."""

    basis: Array  # (FFT, 2 * BINS): real parts, then imaginary parts, windowed
    convolutions: tuple[tuple[Array, Array, int], ...]  # (3 * channels in, channels out), (channels out,), stride
    input_weights: Array  # (CELLS, 4 * CELLS)
    recurrent: Array  # (CELLS, 4 * CELLS)
    gate_bias: Array  # (4 * CELLS,)
    output: Array  # (CELLS,)
    output_bias: np.float32

    def gates(self, windows: Array) -> Array:
        """Return each window's input to the LSTM's gates.

        Args:
            windows: (windows, CONTEXT + WINDOW) samples.

        Returns:
            (windows, 4 * CELLS), before the activation.
        """
        mirrored = np.concatenate([windows, windows[:, -2 : -2 - MIRRORED : -1]], axis=1)
        frames = np.lib.stride_tricks.sliding_window_view(mirrored, FFT, axis=1)[:, ::HOP]
        waves = frames.reshape(-1, FFT) @ self.basis
        features = np.sqrt(waves[:, :BINS] ** 2 + waves[:, BINS:] ** 2).reshape(len(windows), -1, BINS)
        for weights, bias, stride in self.convolutions:
            features = _convolved(features, weights, bias, stride)
        return np.asarray(features[:, 0] @ self.input_weights + self.gate_bias, np.float32)


def _convolved(features: Array, weights: Array, bias: Array, stride: int) -> Array:
    """Convolve over time with three taps and zero padding, then apply a rectifier (ReLU).

    Args:
        features: (windows, times, channels in).
        weights: (3 * channels in, channels out), the first tap's channels first.
        bias: (channels out,).
        stride: steps of time from one result to the next.
    """
    padded = np.pad(features, ((0, 0), (1, 1), (0, 0)))
    taps = [padded[:, tap : tap + features.shape[1] : stride] for tap in range(3)]
    return np.asarray(np.maximum(np.concatenate(taps, axis=2) @ weights + bias, 0), np.float32)


@lru_cache(maxsize=1)
def network(path: Path) -> Network:
    """Read the weights from an ONNX file, in which they are the graph's initializers.

    Raises:
        VoiceModelMissing: the file does not contain this network.
    """
    try:
        return _arranged(dict(_initializers(path.read_bytes())))
    except (KeyError, ValueError, IndexError, struct.error) as exc:
        raise VoiceModelMissing(f"{path} holds no Silero network") from exc


def _arranged(tensors: dict[str, Array]) -> Network:
    halves = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), CELLS)
    # ONNX keeps the gates in the order input, output, forget, cell.
    bias = tensors["onnx::LSTM_211"].reshape(2, 4 * CELLS).sum(axis=0)
    strides = (1, 2, 2, 1)
    return Network(
        basis=np.ascontiguousarray(tensors["stft.forward_basis_buffer"][:, 0].T),
        convolutions=tuple(
            (_taps(tensors[f"encoder.{number}.weight"]), tensors[f"encoder.{number}.bias"], stride)
            for number, stride in enumerate(strides)
        ),
        input_weights=np.ascontiguousarray(tensors["onnx::LSTM_209"][0].T * halves),
        recurrent=np.ascontiguousarray(tensors["onnx::LSTM_210"][0].T * halves),
        gate_bias=bias * halves,
        output=tensors["output.weight"][0, :, 0],
        output_bias=tensors["output.bias"][0],
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
