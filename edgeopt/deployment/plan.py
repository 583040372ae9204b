"""The plan: everything that is decided before work starts. ``--dry-run`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.deployment.choose import ConsideredBackend, choose_backend, choose_precision
from edgeopt.deployment.memory import MemoryReport
from edgeopt.errors import InputError
from edgeopt.options.quantization import USUAL_GROUP
from edgeopt.passes import CORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts import Backend, Target
    from edgeopt.deployment.request import Request
    from edgeopt.ir import Program

__all__ = ["ConsideredBackend", "Plan", "PlannedGate", "make_plan"]


class PlannedGate(msgspec.Struct, frozen=True):
    """A check that will be made.

    Attributes:
        name: ``parity``, ``accuracy``, ``agreement``, ``fidelity``, ``speed`` or ``device``.
        asks: What it asks for.
        otherwise: What happens if it is not met.
    """

    name: str
    asks: str
    otherwise: str


class Plan(msgspec.Struct, frozen=True):
    """What a deployment will do.

    Attributes:
        target: Name of the target.
        title: Its name for people.
        backend: Name of the backend.
        candidates: The backends considered, each with why it was taken or not.
        precision: The precision.
        precision_reason: Why that one.
        quantization: Settings of the quantization; empty for float32.
        core_passes: The passes that every program goes through, in order.
        target_passes: Those that the backend asks for on this target.
        tools: Tool name to version.
        gates: The checks that will be made.
        outputs: What will be written.
        device: Where it will be verified and measured; empty for nowhere.
        notes: What a person should know before.
        memory: What it will take of a microcontroller's flash and RAM; None where that is not known.
    """

    target: str
    title: str
    backend: str
    candidates: tuple[ConsideredBackend, ...]
    precision: str
    precision_reason: str
    quantization: dict[str, Any]
    core_passes: tuple[str, ...]
    target_passes: tuple[str, ...]
    tools: dict[str, str]
    gates: tuple[PlannedGate, ...]
    outputs: tuple[str, ...]
    device: str = ""
    notes: tuple[str, ...] = ()
    memory: MemoryReport | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Returns the plan as (what, value) rows, in the order of the work."""
        rows = [("target", f"{self.target} ({self.title})")]
        before = "passed over"
        for one in self.candidates:
            mark = "backend" if one.chosen else before
            before = "alternative" if one.chosen else before
            rows.append((mark, f"{one.backend}: {one.reason}"))
        rows.append(("precision", f"{self.precision}: {self.precision_reason}"))
        rows.append(("core passes", _joined(self.core_passes)))
        settings = ", ".join(f"{k}={_shown(v)}" for k, v in self.quantization.items())
        rows.append(("quantization", settings or "none"))
        rows.append(("target passes", _joined(self.target_passes)))
        rows.append(("tools", ", ".join(f"{k} {v}" for k, v in self.tools.items())))
        if self.memory is not None:
            rows.append(("memory", f"{self.memory}, estimated"))
            rows += [("memory", note) for note in self.memory.use.notes]
            rows += _over_time(self.memory)
        rows += [(f"gate: {g.name}", f"{g.asks}; otherwise it {g.otherwise}") for g in self.gates]
        rows.append(("device", self.device or "none: nothing is measured on the target"))
        rows += [("writes", output) for output in self.outputs]
        rows += [("note", note) for note in self.notes]
        return rows

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(what) for what, _ in rows)
        return "\n".join(f"{what:{width}}  {value}" for what, value in rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as plain JSON-able values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def make_plan(target: Target, request: Request, program: Program | None = None) -> Plan:
    """Returns the plan for ``request`` on ``target``.

    Args:
        target: The device.
        request: What was asked for.
        program: The captured program; None to plan without a model: then no operator is checked.

    Raises:
        EdgeoptError: No backend can do it; says which were considered and why not.
    """
    choice = choose_backend(
        target, backend=request.backend, precision=request.precision, program=program
    )
    backend = choice.backend
    calibrated = request.calibration_data is not None
    precision, why = choose_precision(
        backend, target, precision=request.precision, calibrated=calibrated, program=program
    )
    quantized = program is not None and program.precision != Precision.FLOAT32
    if quantized and request.settings():
        what = "the program is quantized already"
        raise InputError(what, where="quantization", hint="leave it out, or pass the float model")
    grouped = getattr(backend, "groups", True)
    settings = (
        {}
        if quantized
        else quantization_settings(precision, request.settings(), target, grouped=grouped)
    )
    return Plan(
        target=target.name,
        title=target.title,
        backend=backend.name,
        candidates=choice.candidates,
        precision=precision,
        precision_reason=why,
        quantization=settings,
        core_passes=_core(),
        target_passes=tuple(map(str, backend.passes(target))),
        tools=_tools(backend),
        gates=_gates(request, precision, timed=not getattr(backend, "simulates", False)),
        outputs=(str(request.output) if request.output is not None else "a temporary folder",),
        device=_device_name(request.device),
        notes=_notes(program, request, calibrated=calibrated),
    )


def quantization_settings(
    precision: str, chosen: Mapping[str, Any], target: Target, *, grouped: bool = True
) -> dict[str, Any]:
    """Returns the fields of a `QuantizationConfig`: those chosen, and the target's bits a weight.

    Where those are fewer than 8, products of bytes saturate; products with 16 bits never do.

    Args:
        precision: The precision.
        chosen: Fields that the user chose.
        target: The device.
        grouped: Whether the backend has kernels for weights with steps for groups; else it is one a channel.
    """
    if precision == Precision.FLOAT32:
        return {}
    stored = Precision(precision)
    few_or_wide = stored.weight_type.is_packed or stored is Precision.INT16X8
    own = stored.weight_type.bits if few_or_wide else target.quantization.weight_bits
    bits = chosen.get("weight_bits") or own
    settings = {**chosen, "weight_bits": bits, "precision": precision}
    if stored.weight_type.is_packed:
        settings.setdefault("weight_group", USUAL_GROUP if grouped else 0)
    return settings


def _core() -> tuple[str, ...]:

    return tuple(CORE)


def _tools(backend: Backend) -> dict[str, str]:
    from importlib import metadata  # noqa: PLC0415 (only here)

    own = {name: metadata.version(name) for name in ("edgeopt", "torch")}
    return {**own, **backend.versions()}


def _gates(request: Request, precision: str, *, timed: bool) -> tuple[PlannedGate, ...]:
    limits = request.checks.parity
    asks = (
        f"cosine >= {limits.min_cosine} and same class >= {100 * limits.min_argmax:.1f} % "
        f"of the reference on {request.checks.samples} inputs"
    )
    gates = [PlannedGate("parity", asks, "fails")]
    kind = "accuracy" if request.evaluate is not None else "agreement"
    if request.max_drop is None:
        gates.append(PlannedGate(kind, "is reported beside float", "warns of a drop above 1 %"))
    else:
        gates.append(
            PlannedGate(kind, f"a drop of at most {request.max_drop:g}", _fallback(request))
        )
    gates.append(_fidelity_gate(request))
    if timed and request.checks.speed and precision != Precision.FLOAT32:
        asks = f"{precision} at least as fast as float32, same runtime, this machine"
        gates.append(PlannedGate("speed", asks, _slower(request)))
    if request.device is not None:
        gates.append(PlannedGate("device", "golden samples within tolerance", "fails"))
    return tuple(gates)


def _fidelity_gate(request: Request) -> PlannedGate:
    limits = request.checks.fidelity
    asks = f"{limits.min_snr_db:g} dB of each output and channel"
    if request.evaluate is not None:
        return PlannedGate("fidelity", asks, "warns")
    return PlannedGate(
        "fidelity", asks, f"{_fallback(request)}; warns below {limits.warn_snr_db:g}"
    )


def _slower(request: Request) -> str:
    otherwise = "fails" if request.checks.strict else "warns"
    if request.precision != "auto" or request.quantization is not None:
        return otherwise
    return f"takes float32 where this machine is the target, and else {otherwise}"


def _fallback(request: Request) -> str:
    if request.precision != "auto":
        mixes = Precision(request.precision).weight_type.is_packed
        return "keeps ever more of the harmful layers at 8 bits, then fails" if mixes else "fails"
    return (
        "keeps ever more of the harmful values in float, then tries float16 and float32, then fails"
    )


def _notes(program: Program | None, request: Request, *, calibrated: bool) -> tuple[str, ...]:
    notes = []
    if request.backend == "auto" and request.device is not None:
        notes.append("each backend that works is measured on the device, and the fastest is taken")
    if program is None:
        notes.append("no model given: its operators were not checked")
    if not calibrated:
        notes.append("no calibration data: none is made up, so activations stay in float")
    return tuple(notes)


def _device_name(device: Any) -> str:
    return device if isinstance(device, str) else getattr(device, "name", "")


def _over_time(memory: MemoryReport) -> list[tuple[str, str]]:
    return [("RAM over time", line) for line in memory.bars()]


def _joined(names: tuple[str, ...]) -> str:
    return " -> ".join(names) or "none"


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)
