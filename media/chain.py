"""Sound filters of libav's, run over blocks of samples."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

Block = NDArray[np.float32]  # (channels, samples), -1 to 1


def filtered(blocks: Iterable[Block], layout: str, rate: int, *filters: tuple[str, str]) -> Iterator[Block]:
    """Give blocks of sound after some filters; as many samples as came in, if the filters keep their number.

    Args:
        blocks: follow one another.
        layout: "mono" or "stereo".
        rate: samples a second.
        filters: names and arguments as ffmpeg spells them, in order.
    """
    graph = Graph()
    graph.threads = 1
    form = f"sample_rate={rate}:sample_fmt=fltp:channel_layout={layout}:time_base=1/{rate}"
    steps = [graph.add("abuffer", form), *(graph.add(name, arguments) for name, arguments in filters)]
    steps += [graph.add("aformat", f"sample_fmts=fltp:channel_layouts={layout}"), graph.add("abuffersink")]
    graph.link_nodes(*steps).configure()
    place = 0
    for block in blocks:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
        place += block.shape[1]
        graph.push(frame)
        yield from _ready(graph)
    graph.push(None)
    yield from _ready(graph)


def _ready(graph: Graph) -> Iterator[Block]:
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield np.asarray(frame.to_ndarray(), np.float32)
