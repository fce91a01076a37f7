"""Runs libav's audio filters over blocks of samples, and resamples decoded frames."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from av.filter.context import FilterContext
from numpy.typing import NDArray

from media.sound import mixing
from media.sound.mixing import Matrix

Block = NDArray[np.float32]  # (channels, samples), -1 to 1


def filtered(blocks: Iterable[Block], layout: str, rate: int, *filters: tuple[str, str]) -> Iterator[Block]:
    """Yield blocks of sound after filtering.

    Args:
        blocks: contiguous.
        layout: "mono" or "stereo".
        rate: samples a second.
        filters: names and arguments in ffmpeg's syntax, in order.
    """
    graph = Graph()
    graph.threads = 1
    source = f"sample_rate={rate}:sample_fmt=fltp:channel_layout={layout}:time_base=1/{rate}"
    steps = [graph.add("abuffer", source), *(graph.add(name, arguments) for name, arguments in filters)]
    steps += [graph.add("aformat", f"sample_fmts=fltp:channel_layouts={layout}"), graph.add("abuffersink")]
    graph.link_nodes(*steps).configure()
    position = 0
    for block in blocks:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        position += block.shape[1]
        graph.push(frame)
        yield from _ready(graph)
    graph.push(None)
    yield from _ready(graph)


class Resampler:
    """Resamples and mixes decoded frames of one format to float samples in one or two channels."""

    def __init__(self, frame: AudioFrame, weights: Matrix, rate: int) -> None:
        """Set up for frames with the format, layout and rate of the first one.

        Args:
            frame: the first one.
            weights: of its channels; a row per output channel.
            rate: of the output, in samples a second.
        """
        layout = "mono" if len(weights) == 1 else "stereo"
        self._graph = Graph()
        self._graph.threads = 1
        add, source_layout = self._graph.add, frame.layout.name
        options = f"sample_rate={frame.sample_rate}:sample_fmt={frame.format.name}:channel_layout={source_layout}"
        steps = [add("abuffer", f"{options}:time_base=1/{frame.sample_rate}")]
        if source_layout != layout:
            # libav mixes by the layout's name: it cannot mix some layouts, and drops channels of others.
            steps += [add("aformat", "sample_fmts=fltp"), add("pan", mixing.pan(weights))]
        steps += [add("aresample", str(rate)), add("aformat", f"sample_fmts=fltp:channel_layouts={layout}")]
        self._source, self._sink = steps[0], add("abuffersink")
        self._graph.link_nodes(*steps, self._sink).configure()

    def push(self, frame: AudioFrame | None) -> Iterator[Block]:
        """Resample a frame, or flush with None; yield the samples that are ready."""
        if frame is not None:
            frame.pts = None  # the resampler would otherwise compensate the jitter of the time stamps
        self._source.push(frame)
        yield from _ready(self._sink)


def _ready(sink: FilterContext | Graph) -> Iterator[Block]:
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield np.asarray(frame.to_ndarray(), np.float32)
