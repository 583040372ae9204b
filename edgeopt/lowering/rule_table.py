"""The table of a backend's rules: ATen overload to the functions that write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

__all__ = ["NoRuleError", "Rule", "RuleTable"]

E = TypeVar("E")
"""The backend's emitter."""
F = TypeVar("F", bound="Callable[..., Any]")


class NoRuleError(Exception):
    """An operator, or these arguments of it, cannot be written this way; says why."""


@dataclass(frozen=True)
class Rule(Generic[E]):
    """One way to write an operator.

    Attributes:
        write: Writes a node, and returns what it made of it.
        refusal: Says why it does not fit a node; empty where it does.
    """

    write: Callable[[E, torch.fx.Node], Any]
    refusal: Callable[[E, torch.fx.Node], str] | None = None


class RuleTable(Generic[E]):
    """The rules of one backend. Calling it with ATen overloads decorates the function that writes them.

        rule = RuleTable["Emitter"]("OpenVINO")

        @rule(aten.relu.default)
        def relu(e, node):
            return op.relu(e.value(node.args[0]))

    Args:
        toolchain: What a person calls the runtime, for reasons.
    """

    def __init__(self, toolchain: str) -> None:
        self.toolchain = toolchain
        self._rules: dict[Any, list[Rule[E]]] = {}

    def __call__(
        self, *targets: Any, refusal: Callable[[E, torch.fx.Node], str] | None = None
    ) -> Callable[[F], F]:
        """Returns a decorator that enters a function for ``targets``.

        Several rules for one operator are tried in the order in which they were entered.

        Args:
            *targets: ATen overloads, or functions such as ``operator.getitem``.
            refusal: The predicate: why the rule does not fit a node, empty where it does.
        """

        def enter(function: F) -> F:
            for target in targets:
                self._rules.setdefault(target, []).append(Rule(function, refusal))
            return function

        return enter

    def __iter__(self) -> Iterator[Any]:
        """Yields the operators that have a rule."""
        return iter(self._rules)

    def __contains__(self, target: object) -> bool:
        return target in self._rules

    def write(self, emitter: E, node: torch.fx.Node) -> Any:
        """Returns what the first rule that fits makes of ``node``.

        Raises:
            NoRuleError: None fits; says what the first said.
        """
        reasons = []
        for rule in self._rules.get(node.target, ()):
            reason = rule.refusal(emitter, node) if rule.refusal is not None else ""
            if not reason:
                try:
                    return rule.write(emitter, node)
                except NoRuleError as error:
                    reason = str(error)
            reasons.append(reason)
        missing = f"{self.toolchain} has no operator for it that this backend knows"
        raise NoRuleError(reasons[0] if reasons else missing)
