"""A loaded artefact."""

import numpy as np
import pytest

from edgeopt.contracts import Artifact, Signature, TensorSpec
from edgeopt.errors import DeviceError
from edgeopt.lowering.runner import LocalRunner

SIGNATURE = Signature(
    inputs=(TensorSpec("x", (1, 4), "float32"),), outputs=(TensorSpec("y", (4, 1), "float32"),)
)


def test_an_output_of_another_shape_is_named():
    artifact = Artifact("toy", "host", "float32", SIGNATURE, {"model": b"1"}, "model")
    runner = LocalRunner(artifact, lambda x: (x,))
    with pytest.raises(DeviceError, match=r"y has shape \(1, 4\), not \(4, 1\)"):
        runner(np.zeros((1, 4), np.float32))
