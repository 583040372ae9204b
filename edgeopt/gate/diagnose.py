"""Says why a deployment lost accuracy or speed, and what to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts import NodeSupport
from edgeopt.contracts.storage import Precision
from edgeopt.gate.sensitivity import Sensitivity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts import SupportReport, Target

__all__ = ["Diagnosis", "conversions", "diagnose", "float_share", "missing_isa", "slow_reasons"]

UNEXPLAINED = (
    "no float operator and no missing instruction was found: the float kernels of this runtime "
    "are better for these shapes"
)
SHOWN = 5
"""How many operators a diagnosis names."""


class Diagnosis(msgspec.Struct, frozen=True):
    """What is to blame, and what to try.

    Attributes:
        sensitivities: Values whose rounding costs most.
        in_float: Operators that stayed in float, each with its reason.
        missing_isa: What the target's processor lacks.
        advice: What to try next, the most promising first.
    """

    sensitivities: tuple[Sensitivity, ...] = ()
    in_float: tuple[NodeSupport, ...] = ()
    missing_isa: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = []
        if self.sensitivities:
            lines += [
                "most harmful values:",
                *(f"  {sensitivity}" for sensitivity in self.sensitivities),
            ]
        if self.in_float:
            lines.append(f"operators left in float ({len(self.in_float)}):")
            lines += [f"  {_place(node)}: {node.reason}" for node in self.in_float[:SHOWN]]
        lines += [f"the processor lacks {feature}" for feature in self.missing_isa]
        lines += [f"try: {step}" for step in self.advice]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON-able values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def diagnose(
    target: Target,
    *,
    precision: str,
    support: SupportReport | None = None,
    sensitivities: tuple[Sensitivity, ...] = (),
    samples: int = 0,
    tried: tuple[str, ...] = (),
) -> Diagnosis:
    """Returns what is to blame for lost accuracy.

    Args:
        target: The device.
        precision: What was deployed.
        support: The backend's verdicts.
        sensitivities: The most harmful values, by `edgeopt.gate.sensitivity.sensitive_values`.
        samples: How many samples were calibrated on.
        tried: Precisions that were tried already.
    """
    in_float = _in_float(support) if Precision(precision).is_integer else ()
    missing = missing_isa(target) if Precision(precision).has_integer_weights else ()
    return Diagnosis(
        sensitivities, in_float, missing, _advice(precision, sensitivities, samples, tried)
    )


def missing_isa(target: Target) -> tuple[str, ...]:
    """Returns the instructions for 8-bit products that the target lacks, each with what follows."""
    isa = set(target.cpu.isa)
    if target.cpu.arch == "x86_64" and not isa & {"avx512_vnni", "avx_vnni", "amx_int8"}:
        return ("VNNI: 8-bit products take three instructions instead of one",)
    if target.cpu.arch in ("aarch64", "armv7") and not isa & {"dotprod", "i8mm"}:
        return ("dotprod: 8-bit products are widened to 16 bits first",)
    if target.cpu.arch == "riscv64" and "v" not in isa:
        return ("vector instructions: 8-bit products are computed one by one",)
    if target.cpu.arch == "cortex-m" and not isa & {"dsp", "mve"}:
        return ("the DSP extension: 8-bit products are computed one by one",)
    if target.cpu.arch == "riscv32":
        return ("SIMD instructions: 8-bit products are computed one by one",)
    return ()


def float_share(support: SupportReport | None) -> float:
    """Returns which share of the nodes that cost time runs in float."""
    if support is None:
        return 0.0
    costly = support.count("integer") + support.count("float")
    return support.count("float") / costly if costly else 0.0


def conversions(operators: Mapping[str, int]) -> int:
    """Returns how many conversions between integer and float there are; 0 for one at either edge.

    Args:
        operators: Runtime operators of an artefact, with how many of each.
    """
    edges = sum(n for name, n in operators.items() if "quantize" in name.lower())
    return edges if edges > 2 else 0  # noqa: PLR2004 (one at either edge is as it should be)


def slow_reasons(
    target: Target, support: SupportReport | None, operators: dict[str, int], float_ms: float
) -> tuple[str, ...]:
    """Returns why a quantized artefact may be slower than float on the same runtime.

    Args:
        target: The machine that it was measured on.
        support: The backend's verdicts.
        operators: Runtime operators of the artefact, with how many of each.
        float_ms: Median of the float artefact.
    """
    reasons = []
    in_float = _in_float(support)
    if in_float:
        share = f"{len(in_float)} operators run in float ({100 * float_share(support):.0f} %)"
        reasons.append(f"{share}, for example {_place(in_float[0])}: {in_float[0].reason}")
    edges = conversions(operators)
    if edges:
        reasons.append(f"{edges} conversions between integer and float inside the model")
    reasons += [f"the processor lacks {feature}" for feature in missing_isa(target)]
    if float_ms < 0.1:  # noqa: PLR2004 (a tenth of a millisecond)
        reasons.append(f"the model is so small ({float_ms:.3f} ms) that the call itself dominates")
    return tuple(reasons) or (UNEXPLAINED,)


def _in_float(support: SupportReport | None) -> tuple[NodeSupport, ...]:
    return tuple(n for n in support.nodes if n.verdict == "float") if support is not None else ()


def _place(node: NodeSupport) -> str:
    at = node.source or node.module
    return f"{node.node} ({node.operator}{f' at {at}' if at else ''})"


def _advice(
    precision: str, sensitivities: tuple[Sensitivity, ...], samples: int, tried: tuple[str, ...]
) -> tuple[str, ...]:
    advice = []
    stored = Precision(precision)
    if stored.is_integer and sensitivities:
        names = ", ".join(repr(name) for name in sensitivities[0].keep)
        advice.append(f"quantization={{'keep_float': [{names}]}} keeps the worst value in float")
    clipped = [sensitivity for sensitivity in sensitivities if sensitivity.clipped > 0.001]  # noqa: PLR2004 (a thousandth)
    if clipped:
        advice.append(
            f"{clipped[0].value} is clipped: quantization={{'overrides': {{'{clipped[0].value}': "
            "{'ranges': 'minmax'}}}"
        )
    if stored.is_integer and 0 < samples < 50:  # noqa: PLR2004 (see docs/gate.md)
        advice.append(f"calibrate on more inputs than {samples}; about 100 varied ones are enough")
    if stored.has_integer_weights and Precision.FLOAT16 not in tried:
        advice.append("precision='float16' halves the size at almost no loss")
    if stored.has_integer_weights:
        advice.append("train the model further with quantization simulated (QAT)")
    if precision == Precision.FLOAT32:
        advice.append("even float32 falls short: see whether evaluate gives one model one score")
    return tuple(advice)
