"""The walk over a program that writes it for a toolchain, node by node."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.errors import EdgeoptError
from edgeopt.lowering.rule_table import NoRuleError, RuleTable
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import KernelKind, Program

__all__ = ["Emitter"]

_log = logging.getLogger(__name__)


class Emitter(ABC):
    """A model of the toolchain's own as far as it is written.

    A node that cannot be written is refused, with the reason, and a dummy takes its place: one
    walk finds all of them. Whatever a rule raises is a refusal too.

    Args:
        program: In canonical form, after the target passes.

    Attributes:
        rules: How operators are written.
        types: Dtypes (numpy names) that the toolchain can hold; None where the rules say it.
        program: The program that is being written.
        refused: Name of each value that could not be written, and why.
    """

    rules: ClassVar[RuleTable[Any]]
    types: ClassVar[frozenset[str] | None] = None

    def __init__(self, program: Program) -> None:
        self.program = program
        self.refused: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    # -- what a backend gives -------------------------------------------------------------------

    @abstractmethod
    def add_input(self, node: torch.fx.Node) -> Any:
        """Returns the value of an input."""

    @abstractmethod
    def constant(self, name: str) -> Any:
        """Returns the value of the constant ``name``, when it is read first."""

    @abstractmethod
    def dummy(self, node: torch.fx.Node) -> Any:
        """Returns a value in place of one that cannot be written, of its shape and dtype."""

    def finished(self, node: torch.fx.Node, value: Any) -> Any:
        """Returns what a rule made of ``node`` under its name and on its grid; as it is by default."""
        del node
        return value

    def fallback(self, node: torch.fx.Node) -> Any:
        """Returns what the toolchain's own importer makes of a node that no rule fits.

        Raises:
            NoRuleError: It has none either, as by default.
        """
        del node
        raise NoRuleError

    def finish(self) -> None:  # noqa: B027 (not every toolchain has something left to do)
        """Completes the model (its outputs) once all nodes are written; not where one is refused."""

    def runs_as(self, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
        """Returns how the runtime runs a node that is written, and why it is not on integers.

        Args:
            node: In the program as it was before the target passes.
            kind: What the program says; the answer, unless the runtime's kernels are others.
        """
        del node
        return kind

    # -- the walk -------------------------------------------------------------------------------

    def run(self) -> None:
        """Writes the inputs, every node, and the outputs."""
        self.write_inputs()
        self.write_nodes()

    def write_inputs(self) -> None:
        """Writes every input."""
        for name in self.program.input_names:
            self._guarded(lambda node: self._keep(node, self.add_input(node)), name)

    def write_nodes(self) -> None:
        """Writes every call, and finishes; one that was written with another is passed over."""
        calls = [node for node in self.program.graph.nodes if node.op == "call_function"]
        for number, node in enumerate(calls, 1):
            if node.name not in self._values:
                self.write_node(node)
            report_progress("compile", number, len(calls))
        if not self.refused:
            self._guarded(lambda _: self.finish(), self.program.output_names[0])

    def write_node(self, node: torch.fx.Node) -> None:
        """Writes one call by the first rule that fits, else by the toolchain's importer."""
        self._guarded(lambda one: self._keep(one, self._written(one)), node.name)

    def value(self, node: Any) -> Any:
        """Returns the value of ``node``; a constant's is made on first use."""
        if node.name not in self._values:
            self._values[node.name] = self.constant(node.name)
        return self._values[node.name]

    def shape(self, node: Any) -> tuple[int, ...]:
        """Returns the shape of a node's value."""
        return tuple(int(d) for d in node.meta["val"].shape)

    def dtype(self, node: Any) -> str:
        """Returns the dtype of a node's value, a numpy name."""
        return str(node.meta["val"].dtype).removeprefix("torch.")

    def _written(self, node: torch.fx.Node) -> Any:
        self._require_types(node)
        try:
            return self.rules.write(self, node)
        except NoRuleError as error:
            try:
                return self.fallback(node)
            except NoRuleError as other:
                own = node.target in self.rules or not str(other)
                raise error if own else other from None

    def _keep(self, node: torch.fx.Node, made: Any) -> None:
        """Keeps what a rule returned; one that returned None has put its value by itself."""
        if made is not None:
            self._values[node.name] = self.finished(node, made)

    def _guarded(self, write: Any, name: str) -> None:
        """Calls ``write`` with the node ``name``; whatever it raises becomes a refusal."""
        node = self.program.node(name)
        try:
            write(node)
        except Exception as error:  # noqa: BLE001 (rules and toolchains raise errors of any type)
            _log.debug("%s could not be written", name, exc_info=True)
            self.refused[name] = self._reason(error)
            self._values[name] = self.dummy(node)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, NoRuleError):
            return str(error)
        message = error.what if isinstance(error, EdgeoptError) else str(error)
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        return f"{self.rules.toolchain} failed on it: {(lines or [type(error).__name__])[-1]}"

    def _require_types(self, node: torch.fx.Node) -> None:
        for used in (*node.all_input_nodes, node):
            kind = str(getattr(used.meta.get("val"), "dtype", "")).removeprefix("torch.")
            if self.types is not None and kind and kind not in self.types:
                raise NoRuleError(f"values of type {kind} are not supported")
