"""One eye as it lies in a picture: lids, corners, iris. Values only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Eye:
    """Outline of one eye in the picture, in pixels."""

    upper: NDArray[np.float64]  # (9, 2) along the upper lid, from the picture's left corner to its right one
    lower: NDArray[np.float64]  # (9, 2) along the lower lid, same corners
    iris: NDArray[np.float64]  # (2,) centre
    iris_radius: float

    @property
    def width(self) -> float:
        """Distance of the corners."""
        return float(np.linalg.norm(self.upper[-1] - self.upper[0]))

    @property
    def opening(self) -> float:
        """Mean height between the lids over the width; some 0.3 when open, below 0.1 when shut."""
        return float(np.linalg.norm(self.upper[2:7] - self.lower[2:7], axis=1).mean()) / max(self.width, 1e-6)
