"""What the user says of inputs and outputs, held against the program before any work starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.bundles.postprocess import check_labels, settled_postprocess
from edgeopt.bundles.preprocess import settled_preprocess
from edgeopt.ir.operators import traits_of
from edgeopt.ir.ops import aten
from edgeopt.options import TextPreprocess

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import Program
    from edgeopt.options import BundleOptions, Preprocessing

__all__ = ["check_described", "vocabulary", "with_vocabulary"]


def check_described(program: Program, options: BundleOptions) -> None:
    """Checks names, shapes, channels and counts that the options for the bundle speak of.

    Raises:
        InputError: One does not fit the program.
    """
    count = None if options.labels is None else len(options.class_names)
    settled_preprocess(with_vocabulary(options.preprocess, program), program.signature)
    settled_postprocess(options.postprocess, program.signature, count)
    if options.postprocess is None and count is not None:
        check_labels(program.signature, count)


def with_vocabulary(given: Preprocessing | None, program: Program) -> Preprocessing | None:
    """Returns ``given``; of a text with the number of tokens that the model knows."""
    if not isinstance(given, TextPreprocess) or given.vocabulary:
        return given
    names = [spec.name for spec in program.signature.inputs]
    ids = given.ids or next(iter(names), "")
    if ids not in names:
        return given
    return given.replace(vocabulary=vocabulary(program, program.input_names[names.index(ids)]))


def vocabulary(program: Program, name: str) -> int:
    """Returns the rows of the embedding that an input of token ids is looked up in; 0 for none.

    Args:
        program: The program.
        name: Name of the input's value.
    """
    rows: list[int] = []
    stack, seen = [program.node(name)], set()
    while stack:
        node = stack.pop()
        for user in node.users:
            if user.target is aten.embedding.default and user.args[1] is node:
                rows += _rows(program, user.args[0])
            elif (traits_of(user).moves or traits_of(user).copies) and user not in seen:
                seen.add(user)
                stack.append(user)
    return min(rows, default=0)


def _rows(program: Program, weight: torch.fx.node.Argument) -> list[int]:
    tensor = program.constants.get(getattr(weight, "name", ""))
    return [] if tensor is None else [int(tensor.shape[0])]
