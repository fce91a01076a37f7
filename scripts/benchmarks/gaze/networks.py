"""The networks that the judges' weights belong to, rebuilt as ONNX graphs, so that no training framework is needed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.gaze.weights import JudgeMissing, Weights

BATCH_EPSILON = 1e-5  # PyTorch's default in batch normalisation


class Network:
    """A graph, ready to run on one core.

    Raises:
        JudgeMissing: onnx or onnxruntime is not installed.
    """

    def __init__(self, graph: "Graph", output: str) -> None:
        try:
            import onnxruntime  # noqa: PLC0415  # only where the bench's own requirements are installed
        except ImportError as exc:
            raise JudgeMissing("the package onnxruntime is not installed") from exc
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph.serialised(output), options, providers=["CPUExecutionProvider"]
        )

    def run(self, **inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the only output."""
        return np.asarray(self._session.run(None, inputs)[0], np.float32)


class Graph:
    """A graph under construction; layers take their numbers from weights by PyTorch's names."""

    def __init__(self, weights: Weights, inputs: dict[str, tuple[int | str, ...]]) -> None:
        try:
            import onnx  # noqa: PLC0415  # only where the bench's own requirements are installed
        except ImportError as exc:
            raise JudgeMissing("the packages onnx and protobuf are not installed") from exc
        self._onnx: Any = onnx
        self._weights = weights
        self._inputs = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in inputs.items()]
        self._nodes: list[Any] = []
        self._kept: dict[str, NDArray[np.float32]] = {}

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _weight(self, name: str) -> str:
        self._kept[name] = self._weights[name]
        return name

    def convolve(self, x: str, name: str, stride: int = 1) -> str:
        """Add a convolution whose padding keeps the size; no bias."""
        margin = self._weights[f"{name}.weight"].shape[2] // 2
        return self._add("Conv", x, self._weight(f"{name}.weight"), pads=[margin] * 4, strides=[stride] * 2)

    def normalise(self, x: str, name: str) -> str:
        """Add a batch normalisation."""
        fields = ("weight", "bias", "running_mean", "running_var")
        numbers = [self._weight(f"{name}.{field}") for field in fields]
        return self._add("BatchNormalization", x, *numbers, epsilon=BATCH_EPSILON)

    def rectify(self, x: str) -> str:
        """Add a rectified linear unit."""
        return self._add("Relu", x)

    def add(self, x: str, y: str) -> str:
        """Add a sum."""
        return self._add("Add", x, y)

    def pool(self, x: str) -> str:
        """Add the maximum over 3 × 3 at every second place."""
        return self._add("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])

    def average(self, x: str) -> str:
        """Add the mean over the whole picture; leaves (batch, channels)."""
        return self._add("Flatten", self._add("GlobalAveragePool", x))

    def join(self, x: str, y: str) -> str:
        """Put features side by side."""
        return self._add("Concat", x, y, axis=1)

    def connect(self, x: str, name: str) -> str:
        """Add a fully connected layer."""
        return self._add("Gemm", x, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"), transB=1)

    def has(self, name: str) -> bool:
        """Return whether weights with this name exist."""
        return f"{name}.weight" in self._weights

    def serialised(self, output: str) -> bytes:
        """Return the finished graph."""
        helper = self._onnx.helper
        kept = [self._onnx.numpy_helper.from_array(numbers, name) for name, numbers in self._kept.items()]
        found = [helper.make_tensor_value_info(output, 1, None)]
        graph = helper.make_graph(self._nodes, "judge", self._inputs, found, kept)
        # Old versions of format and operators, which every runtime reads.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        content: bytes = model.SerializeToString()
        return content


def resnet18(weights: Weights) -> Network:
    """Build He et al.'s ResNet-18 (CVPR 2016) as of torchvision: input `x` (n, 3, 224, 224), output (n, 2)."""
    graph = Graph(weights, {"x": ("n", 3, 224, 224)})
    x = graph.pool(graph.rectify(graph.normalise(graph.convolve("x", "conv1", 2), "bn1")))
    for stage in range(1, 5):
        for block in range(2):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = graph.rectify(graph.normalise(graph.convolve(x, f"{name}.conv1", stride), f"{name}.bn1"))
            y = graph.normalise(graph.convolve(y, f"{name}.conv2"), f"{name}.bn2")
            if graph.has(f"{name}.downsample.0"):
                x = graph.normalise(graph.convolve(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = graph.rectify(graph.add(x, y))
    return Network(graph, graph.connect(graph.average(x), "fc"))


def resnet_preact(weights: Weights) -> Network:
    """Build a ResNet-8 with activations first (He et al., ECCV 2016): `x` (n, 1, 36, 60), `head` (n, 2) → (n, 2)."""
    graph = Graph(weights, {"x": ("n", 1, 36, 60), "head": ("n", 2)})
    x = graph.convolve("x", "conv")
    for stage in (1, 2, 3):
        name = f"stage{stage}.block1"
        stride = 1 if stage == 1 else 2
        x = graph.rectify(graph.normalise(x, f"{name}.bn1"))
        y = graph.rectify(graph.normalise(graph.convolve(x, f"{name}.conv1", stride), f"{name}.bn2"))
        y = graph.convolve(y, f"{name}.conv2")
        if graph.has(f"{name}.shortcut.conv"):
            x = graph.convolve(x, f"{name}.shortcut.conv", stride)
        x = graph.add(x, y)
    features = graph.average(graph.rectify(graph.normalise(x, "bn")))
    return Network(graph, graph.connect(graph.join(features, "head"), "fc"))
