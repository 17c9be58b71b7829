"""What the checks are given for the components of this package."""

import numpy as np

from bdbench.api import Evidence, Predictions, Task
from bdbench.testing import KnownValues

TASK = Task("vector-classification", ("vector",), ("left", "right"))


def _cases():
    said = Predictions(
        ids=np.arange(4),
        labels=np.array([0, 1, 0, 1]),
        columns={
            "prediction": np.array([0, 1, 1, 1]),
            "probabilities": np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]]),
        },
        rejected=np.zeros(4, dtype=bool),
    )
    evidence = Evidence(TASK, None, said, said, said)
    return [KnownValues("one of four wrong", evidence, {"share_right": 0.75})]


KNOWN_VALUES = {"sound-metric": _cases, "known-values": _cases}
