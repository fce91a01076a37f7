"""Train the network of `media.gaze.estimate.eye_network` on rendered eyes and write its weights.

Needs PyTorch, which is no requirement of the project: pip install torch into an environment of your own that also has
requirements.txt. Takes half an hour on a shared core.
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate import eye_patch
from media.gaze.estimate.eye_network import GAZE_SCALE_DEG, HEAD_SCALE_DEG, WEIGHTS, normalized
from scripts.training.rendered_eyes import Batch, render

AT_ONCE = 500  # eyes rendered together
BATCH = 256
LEFT_OUT = 4000  # eyes that only the report sees
CHANNELS, HIDDEN = (8, 16, 32), 64
MOST_RATE, DECAY = 3e-3, 1e-3
HUBER = 2.0  # deviations: beyond, an error counts in proportion to its size


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--eyes", type=int, default=200_000, help="rendered for training (%(default)s)")
    command.add_argument("--epochs", type=int, default=8, help="(%(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of the renderer and of the training (%(default)s)")
    command.add_argument("--into", type=Path, default=WEIGHTS, metavar="FILE", help="(%(default)s)")
    return command


def main() -> int:
    """Train and write the weights."""
    options = parser().parse_args()
    try:
        torch: Any = importlib.import_module("torch")  # Any: the package is not installed where types are checked
    except ImportError:
        print("PyTorch is not installed: pip install torch", file=sys.stderr)
        return 1
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    eyes = _rendered(rng, options.eyes)
    network = _network(torch)
    for epoch, (yaw, pitch) in enumerate(_train(torch, network, eyes, options.epochs, rng)):
        print(
            f"epoch {epoch}: mean absolute error of eyes left out: yaw {yaw:.2f}, pitch {pitch:.2f} degrees", flush=True
        )
    names = ("c1", "c2", "c3", "f1", "f2")
    layers = [layer for layer in network if hasattr(layer, "weight")]
    weights = {
        f"{name}.{kind}": getattr(layer, kind).detach().numpy().astype(np.float16)
        for name, layer in zip(names, layers, strict=True)
        for kind in ("weight", "bias")
    }
    np.savez_compressed(options.into, **weights)
    return 0


def _rendered(rng: np.random.Generator, count: int) -> Batch:
    batches = [render(rng, AT_ONCE) for _ in range(count // AT_ONCE)]
    return Batch(
        np.concatenate([one.patches for one in batches]),
        np.concatenate([one.gaze_deg for one in batches]),
        np.concatenate([one.head_deg for one in batches]),
    )


def _network(torch: Any) -> Any:  # Any: see `main`
    """Build the layers; the head pose joins between the convolutions and the others."""
    nn, (one, two, three) = torch.nn, CHANNELS
    rows, columns = (-(-side // 8) for side in eye_patch.SIZE)
    return nn.ModuleList([
        nn.Conv2d(1, one, 3, 2, 1),
        nn.Conv2d(one, two, 3, 2, 1),
        nn.Conv2d(two, three, 3, 2, 1),
        nn.Linear(three * rows * columns + 2, HIDDEN),
        nn.Linear(HIDDEN, 4),
    ])  # fmt: skip


def _run(torch: Any, network: Any, eyes: Batch, chosen: NDArray[np.intp]) -> Any:  # Any: see `main`
    values = torch.from_numpy(normalized(eyes.patches[chosen])[:, None])
    for layer in network[:3]:
        values = torch.relu(layer(values))
    heads = torch.from_numpy(eyes.head_deg[chosen] / np.float32(HEAD_SCALE_DEG))
    return network[4](torch.relu(network[3](torch.cat([values.flatten(1), heads], 1))))


def _train(torch: Any, network: Any, eyes: Batch, epochs: int, rng: np.random.Generator) -> Any:  # Any: see `main`
    """Yield the error of the eyes that are left out after each epoch."""
    count = len(eyes.patches) - LEFT_OUT
    steps = count // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), MOST_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MOST_RATE, epochs * steps, pct_start=0.2)
    for _ in range(epochs):
        for chosen in rng.permutation(count)[: steps * BATCH].reshape(steps, BATCH):
            optimizer.zero_grad()
            _loss(torch, _run(torch, network, eyes, chosen), torch.from_numpy(eyes.gaze_deg[chosen])).backward()
            optimizer.step()
            schedule.step()
        rest = np.arange(count, len(eyes.patches))
        with torch.no_grad():
            found = GAZE_SCALE_DEG * _run(torch, network, eyes, rest)[:, :2].numpy()
        yield np.abs(found - eyes.gaze_deg[rest]).mean(axis=0)


def _loss(torch: Any, found: Any, true: Any) -> Any:  # Any: see `main`
    """Return the negative logarithm of a likelihood with heavy tails; the network says its own deviation."""
    logarithm = found[:, 2:].clamp(-1, 4)
    error = (GAZE_SCALE_DEG * found[:, :2] - true) / logarithm.exp()
    huber = torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=HUBER, reduction="none")
    return (huber + logarithm).mean()


if __name__ == "__main__":
    sys.exit(main())
