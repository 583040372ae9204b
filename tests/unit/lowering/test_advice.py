"""A refusal says what to write instead."""

import pytest

from edgeopt.lowering.advice import advice


@pytest.mark.parametrize(
    ("operator", "reason", "words"),
    [
        ("aten._linalg_det.default", "no kernel", "solves equations"),
        ("torchvision.nms.default", "no kernel", "after the model"),
        ("aten.lgamma.default", "no kernel", "polynomial"),
        ("aten.add.Tensor", "values of type float64 are not supported", ".float()"),
        ("aten.add.Tensor", "values of type int16 are not supported", "cast it"),
        ("aten.anything.default", "no kernel", "docs/ir.md"),
    ],
)
def test_what_to_write_instead(operator, reason, words):
    assert words in advice(operator, reason)
