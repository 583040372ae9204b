"""Which outputs are values, and which one score a class: by what was said of them, by what makes them, by what they are."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.errors import InputError
from edgeopt.gate.metrics import class_axis
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.options import Classification, Embedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.ir.operators import OperatorTraits
    from edgeopt.options import BundleOptions

__all__ = ["check_values", "value_outputs"]

UNIT = 1e-3
"""How far the length of a vector that was normalized may be from 1."""


def check_values(programs: Sequence[Program], values: Sequence[str]) -> None:
    """Checks that outputs that are called values are there, of a model or of several methods.

    Raises:
        InputError: One is not.
    """
    names = [spec.name for one in programs for spec in one.signature.outputs]
    for name in values:
        if name not in names:
            hint = f"its outputs are: {', '.join(names)}"
            raise InputError(f"there is no output {name}", where="checks.values", hint=hint)


def value_outputs(
    program: Program, values: Sequence[str], bundle: BundleOptions, outputs: Sequence[Arrays]
) -> frozenset[str]:
    """Returns the outputs with two axes that are not one score a class.

    What was said decides: ``values``, a postprocessing, labels. Else those that a normalization, a tanh, a recurrent
    layer or an embedding makes, and vectors of length 1, are values; the rest may be scores.

    Args:
        program: In float.
        values: Outputs that were said to be values.
        bundle: What was said of outputs for the bundle.
        outputs: The program's outputs, one tuple a sample.
    """
    told = _told(program, bundle)
    names = set()
    for place, spec in enumerate(program.signature.outputs):
        if class_axis(spec.shape, spec.dtype) is None:
            continue
        is_values = told.get(spec.name)
        if is_values is None:
            maker = _maker(program.node(program.output_names[place]))
            is_values = traits_of(maker).representation or _are_unit(
                [one[place] for one in outputs]
            )
        if is_values or spec.name in values:
            names.add(spec.name)
    return frozenset(names)


def _told(program: Program, bundle: BundleOptions) -> dict[str, bool]:
    """Returns whether outputs are values, of those that something was said of."""
    specs = program.signature.outputs
    postprocess = bundle.postprocess
    if isinstance(postprocess, (Classification, Embedding)):
        name = postprocess.output or next((spec.name for spec in specs), "")
        return {name: isinstance(postprocess, Embedding)}
    if postprocess is not None:  # boxes and areas
        return {spec.name: True for spec in specs}
    count = len(bundle.class_names)
    return {spec.name: False for spec in specs if count and spec.shape[-1:] == (count,)}


def _maker(node: torch.fx.Node) -> torch.fx.Node:
    """Returns what computes the numbers of ``node``, which may only be moved into it."""
    while node.op == "call_function" and _hands_on(traits_of(node)):
        sources = dict.fromkeys(_sources(node))
        if len(sources) != 1:
            return node
        node = next(iter(sources))
    return node


def _hands_on(traits: OperatorTraits) -> bool:
    return traits.moves or traits.copies or traits.shares_parameters


def _sources(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    yield from (
        ops.activation_inputs(node)
        if node.target is not operator.getitem
        else (node.all_input_nodes)
    )


def _are_unit(arrays: Sequence[np.ndarray]) -> bool:
    """Returns whether all rows are vectors of length 1, and not shares of 1, of which one takes all."""
    if not arrays:
        return False
    rows = np.concatenate([array.astype(np.float64) for array in arrays])
    lengths, sums = np.linalg.norm(rows, axis=1), rows.sum(axis=1)
    is_share = rows.min() >= 0 and np.abs(sums - 1).max() <= UNIT
    return bool(np.abs(lengths - 1).max() <= UNIT and not is_share)
