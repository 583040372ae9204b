"""The Program: what every step of compression takes and returns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch.export import ExportedProgram

    from edgeopt.contracts.signature import Signature
    from edgeopt.ir.quant import QuantSpec

__all__ = ["Program", "Sparsity", "Step"]


class Step(msgspec.Struct, frozen=True):
    """One compression step that a program has been through.

    Attributes:
        name: The step, for example ``fold_batch_norm``.
        settings: What it was told to do.
        effect: What came of it: counts and measured figures.
    """

    name: str
    settings: dict[str, Any] = {}
    effect: dict[str, Any] = {}


class Sparsity(msgspec.Struct, frozen=True):
    """How a weight is sparse.

    Attributes:
        kind: ``unstructured``, ``structured`` or ``2:4``.
        density: Share of elements that are not zero, measured.
    """

    kind: str
    density: float


@dataclass(frozen=True, eq=False)
class Program:
    """An ExportedProgram and what is known of how its values are stored.

    Attributes:
        exported: The graph, functional ATen operators, with its weights.
        signature: Inputs and outputs by name, shape and dtype.
        precision: What weights and activations are stored in; its name does, too.
        quant: Value name (of a node or a constant) to the grid it lies on. A value that is not
            in the table is float.
        sparsity: Constant name to how it is sparse.
        history: The steps it has been through, oldest first.
    """

    exported: ExportedProgram
    signature: Signature
    precision: Precision = Precision.FLOAT32
    quant: Mapping[str, QuantSpec] = field(default_factory=dict)
    sparsity: Mapping[str, Sparsity] = field(default_factory=dict)
    history: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "precision", Precision(self.precision))
        except ValueError as error:
            raise ProgramError(
                f"there is no precision {self.precision!r}", hint=f"known: {', '.join(Precision)}"
            ) from error
        object.__setattr__(self, "quant", MappingProxyType(dict(self.quant)))
        object.__setattr__(self, "sparsity", MappingProxyType(dict(self.sparsity)))

    @property
    def graph(self) -> torch.fx.Graph:
        """The graph. Read it; change it only through an `Editor`."""
        graph: torch.fx.Graph = self.exported.graph_module.graph
        return graph

    @cached_property
    def constants(self) -> Mapping[str, torch.Tensor]:
        """Constant name (its placeholder's) to tensor: parameters, buffers, lifted constants."""
        return MappingProxyType(dict(_constants(self.exported)))

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in the order of ``signature.inputs``."""
        return tuple(_tensor_names(self.exported.graph_signature.input_specs, "USER_INPUT"))

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Names of the values returned, in the order of ``signature.outputs``."""
        return tuple(_tensor_names(self.exported.graph_signature.output_specs, "USER_OUTPUT"))

    @cached_property
    def text(self) -> str:
        """The program as stable text: for reading, diffs and golden tests."""
        from edgeopt.ir.text import program_text  # noqa: PLC0415 (it imports this module)

        return program_text(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over text, signature, constants and grids; equal for equal programs."""
        total = hashlib.sha256(self.text.encode())
        total.update(msgspec.json.encode(self.signature))
        for name, tensor in sorted(self.constants.items()):
            total.update(name.encode())
            total.update(_raw(tensor))
        for name, spec in sorted(self.quant.items()):
            total.update(name.encode())
            total.update(_raw(spec.scale))
            total.update(_raw(spec.zero_point))
        return total.hexdigest()

    @property
    def size_bytes(self) -> int:
        """Bytes of all constants as they are stored: the quantization table counts, scales of groups too."""
        return sum(
            self.quant[name].bytes_for(tensor.numel())
            if name in self.quant
            else tensor.numel() * tensor.element_size()
            for name, tensor in self.constants.items()
        )

    def node(self, name: str) -> torch.fx.Node:
        """Returns the node called ``name``.

        Raises:
            KeyError: There is none.
        """
        return self._nodes[name]

    @cached_property
    def _nodes(self) -> dict[str, torch.fx.Node]:
        return {node.name: node for node in self.graph.nodes}

    def with_step(self, name: str, settings: dict[str, Any], effect: dict[str, Any]) -> Program:
        """Returns this program with one more entry in its history."""
        return replace(self, history=(*self.history, Step(name, settings, effect)))

    def __repr__(self) -> str:
        return f"Program({self.precision}, {len(self._nodes)} nodes, {self.digest[:12]})"


def _tensor_names(specs: Any, kind: str) -> Iterator[str]:
    from torch.export.graph_signature import TensorArgument  # noqa: PLC0415

    for spec in specs:
        if spec.kind.name == kind and isinstance(spec.arg, TensorArgument):
            yield spec.arg.name


def _raw(tensor: torch.Tensor) -> bytes:
    import torch  # noqa: PLC0415 (this module must stay importable without torch)

    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _constants(exported: ExportedProgram) -> Iterator[tuple[str, torch.Tensor]]:
    from torch.export.graph_signature import InputKind  # noqa: PLC0415

    for spec in exported.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT or spec.target is None:
            continue
        tensor = exported.state_dict.get(spec.target, exported.constants.get(spec.target))
        if tensor is not None:
            yield spec.arg.name, tensor.detach()
