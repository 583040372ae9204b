"""What comes of one model, stage by stage: built, captured, compiled, run beside torch, quantized, judged."""

from __future__ import annotations

import dataclasses
import linecache
import re
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch.utils import _pytree as pytree

from _any_model.settle import build
from edgeopt.contracts.storage import Precision
from edgeopt.data.calls import as_call
from edgeopt.deployment import steps
from edgeopt.deployment.request import Request
from edgeopt.errors import EdgeoptError, UnsupportedError
from edgeopt.gate.metrics import snr_db
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.options import Checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from _any_model.entry import Entry
    from edgeopt.gate.metrics import Arrays

__all__ = ["Place", "Row", "examine", "places"]

Kind = Literal["right", "wrong", "refused", "short", "unlike", "fault", "killed"]
CALIBRATION, CHECKS, FRESH = 12, 16, 2
CAPTURED, FLOAT = 60.0, 45.0
"""dB that capture and core passes, and a backend in float32, must keep."""
SHAKE, LAST_BIT, STEADY = 1e-6, 1e-7, 6.0
"""Noise at the input and of the weights, relative; and by how many dB more than by these a model may be off and still
be steady."""


class Place(msgspec.Struct, frozen=True, order=True):
    """What is asked of a model.

    Attributes:
        stage: ``built``, ``captured``, ``kept`` (the model is as it was before its capture),
            ``quantized``, or ``deployed``.
        backend: Of a deployment; else empty.
        precision: Of a deployment; else empty.
    """

    stage: str
    backend: str = ""
    precision: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.stage, self.backend, self.precision) if part)


class Row(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        model: Name of the model.
        place: What was asked.
        kind: ``right``; ``wrong``: computes something else, and nobody said so; ``refused``: by an
            `EdgeoptError`; ``short``: the gate found too little left of an output; ``unlike``: it found
            no parity with the reference; ``fault``: an exception that is not ours; ``killed``: it died, or took more time or memory than it had.
        error: Class of the exception.
        what: Its sentence, or what fell short.
        where: Where it points.
        hint: What it says to do.
        operators: Of a support report: what is refused, with its line of source.
        cause: Of an exception that led to it: class, beginning of its words, and the line of code.
        snr_db: Least over the outputs, beside torch.
        parity_db: Least over the outputs, beside the reference.
        nodes: Operators of the program; of an int8 deployment, in integers and in float.
        seconds: How long it took.
        peak_mb: Most memory of the process in the meantime.
    """

    model: str
    place: Place
    kind: Kind = "right"
    error: str = ""
    what: str = ""
    where: str = ""
    hint: str = ""
    operators: tuple[str, ...] = ()
    cause: str = ""
    snr_db: float | None = None
    parity_db: float | None = None
    nodes: tuple[int, ...] = ()
    seconds: float = 0.0
    peak_mb: int = 0


def places(backends: Sequence[str], precisions: Sequence[str]) -> list[Place]:
    """Returns all that is asked of each model, in the order of the work."""
    every = [Place("built"), Place("captured"), Place("kept")]
    for precision in precisions:
        if precision != Precision.FLOAT32:
            every.append(Place("quantized", precision=precision))
        every += [Place("deployed", backend, precision) for backend in backends]
    return every


def examine(
    entry: Entry, wanted: Sequence[Place], starts: Callable[[Place], None]
) -> Iterator[Row]:
    """Yields what comes of ``entry`` in each place of ``wanted``.

    After a failure of one place nothing is yielded of those that follow from it.

    Args:
        entry: The model.
        wanted: Where; what they follow from is done, and yielded only where it is wanted or fails.
        starts: Is told each place before it is begun.
    """
    subject = _Subject(entry)
    failed: set[Place] = set()
    for place in _with_origins(wanted):
        if failed & set(_origins(place)):
            continue
        starts(place)
        row = _examined(subject, place)
        if row.kind not in ("right", "short", "unlike"):
            failed.add(place)
        if place in wanted or place in failed:
            yield row


def _origins(place: Place) -> list[Place]:
    first = [Place("built"), Place("captured")]
    if place.stage == "deployed":
        quantized = place.precision != Precision.FLOAT32
        return [*first, *([Place("quantized", precision=place.precision)] if quantized else [])]
    return first[: ("built", "captured").index(place.stage)] if place in first else first


def _with_origins(wanted: Sequence[Place]) -> list[Place]:
    every = [one for place in wanted for one in (*_origins(place), place)]
    return list(dict.fromkeys(every))


def _examined(subject: _Subject, place: Place) -> Row:
    _forget_peak()
    start = time.monotonic()
    row = Row(subject.entry.name, place)
    work = {
        "built": subject.build,
        "captured": subject.capture,
        "kept": subject.keep,
        "quantized": lambda: subject.quantize(place),
        "deployed": lambda: subject.deploy(place),
    }[place.stage]
    try:
        row = msgspec.structs.replace(row, **work())
    except EdgeoptError as error:
        row = msgspec.structs.replace(row, kind="refused", **_said(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
        row = msgspec.structs.replace(row, kind="fault", **_said(error))
    seconds = round(time.monotonic() - start, 2)
    return msgspec.structs.replace(row, seconds=seconds, peak_mb=_peak_mb())


class _Subject:
    """One model and what has been made of it so far."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def build(self) -> dict[str, Any]:
        settled, self.model = build(self.entry)
        fit = CALIBRATION + CHECKS
        samples = self.entry.samples(fit + FRESH, 0)
        self.data, fresh = samples[:fit], samples[fit:]
        self.wanted = [_called(settled, one) for one in fresh]
        self.before = _called(settled, self.data[CALIBRATION])
        self.fresh = [_flat(one) for one in fresh]
        # A choice between near equals (the best boxes, the nearest code) turns over by last bits: no runtime keeps it.
        _shake_weights(settled)
        shaken = [_called(settled, _shaken(one)) for one in fresh]
        self.steady_db = self._least_snr(shaken)[0]
        if not any(np.isfinite(a).all() for a in self.wanted[0]):
            raise ValueError("torch itself makes nothing finite of it")
        return {}

    def capture(self) -> dict[str, Any]:
        self.program = steps.as_program(self.model, self.data[0])
        self.fresh = [self._ordered(one) for one in self.fresh]
        shared = self._job(Place("deployed", "reference", Precision.FLOAT32))
        self.baseline = steps.baseline(self.program, shared)
        self.source = steps.source(shared, self.baseline)
        nodes = sum(node.op == "call_function" for node in self.program.graph.nodes)
        outputs = run_all(ReferenceRunner(self.program), self.fresh)
        return {**self._compared(outputs, CAPTURED), "nodes": (nodes,)}

    def keep(self) -> dict[str, Any]:
        """Looks at the model after its capture: people go on with it."""
        changed = self._changed()
        del self.model
        return {"kind": "wrong", "what": changed} if changed else {}

    def _changed(self) -> str:
        try:
            after = _called(self.model, self.data[CALIBRATION])
        except Exception as error:  # noqa: BLE001 (whatever it is: it ran before)
            return f"it fails: {type(error).__name__}: {error}"
        near, _ = self._least_snr([after], [self.before])
        same = near >= min(CAPTURED, self.steady_db - STEADY)
        return "" if same else f"it computes something else: {near:.1f} dB"

    def quantize(self, place: Place) -> dict[str, Any]:
        job = self._job(replace_backend(place, "reference"))
        program = steps.quantize(job, self.source).program
        outputs = run_all(ReferenceRunner(program), self.fresh)
        return {"snr_db": self._least_snr(outputs)[0]}

    def deploy(self, place: Place) -> dict[str, Any]:
        job = self._job(place)
        candidate = steps.quantize(job, self.source)
        build = steps.compile(job, candidate)
        try:
            checked = steps.check(job, candidate, build, self.baseline)
            parity, accuracy = checked.gate.parity, checked.gate.accuracy
            unlike = parity.reasons if parity else ()
            lacking = [*unlike, *(accuracy.faults if accuracy else ())]
            result: dict[str, Any] = {}
            if parity is not None:
                result["parity_db"] = min((o.snr_db for o in parity.outputs), default=None)
            if build.runner is None:
                result |= {"kind": "short", "what": build.not_here}
            elif place.precision == Precision.FLOAT32:
                result |= self._compared(run_all(build.runner, self.fresh), FLOAT)
            else:
                result["snr_db"] = self._least_snr(run_all(build.runner, self.fresh))[0]
            if lacking:
                kind = "unlike" if unlike else "short"
                result |= {"kind": kind, "what": "; ".join(lacking)}
            support = build.support
            return {**result, "nodes": (support.count("integer"), support.count("float"))}
        finally:
            build.close()

    def _job(self, place: Place) -> steps.Job:
        request = Request(
            backend=place.backend,
            precision=place.precision,  # type: ignore[arg-type]  # one of them: it checks itself
            calibration_data=self.data,
            checks=Checks(speed=False, samples=CHECKS),
        )
        return steps.plan(self.program, "host", request)

    def _ordered(self, sample: dict[str, np.ndarray] | Arrays) -> Arrays:
        """Returns a call's arrays in the order of the signature."""
        if isinstance(sample, dict):
            return tuple(sample[spec.name] for spec in self.program.signature.inputs)
        return sample

    def _compared(self, outputs: Sequence[Arrays], floor: float) -> dict[str, Any]:
        least, what = self._least_snr(outputs)
        if not what and least < floor and least > self.steady_db - STEADY:
            steady = f"last bits decide it: torch itself keeps {self.steady_db:.1f} dB of shaken inputs and weights"
            return {"snr_db": least, "what": steady}
        if what or least < floor:
            return {
                "kind": "wrong",
                "snr_db": least,
                "what": what or f"{least:.1f} dB beside torch",
            }
        return {"snr_db": least}

    def _least_snr(
        self, outputs: Sequence[Arrays], wanted: Sequence[Arrays] | None = None
    ) -> tuple[float, str]:
        """Returns the least ratio of an output, and what cannot be compared at all."""
        least = 200.0
        for want, got in zip(self.wanted if wanted is None else wanted, outputs, strict=True):
            if len(want) != len(got):
                return -200.0, f"{len(want)} outputs became {len(got)}"
            for w, g in zip(want, got, strict=True):
                if w.shape != g.shape or w.dtype != g.dtype:
                    return -200.0, f"{w.dtype} {w.shape} became {g.dtype} {g.shape}"
                least = min(least, _ratio(w, g))
        return round(least, 1), ""


def replace_backend(place: Place, backend: str) -> Place:
    """Returns the same place on another backend."""
    return msgspec.structs.replace(place, stage="deployed", backend=backend)


def _ratio(want: np.ndarray, got: np.ndarray) -> float:
    same = (want == got) | ((want != want) & (got != got))  # noqa: PLR0124 (NaN)
    w, g = want.astype(np.complex128), got.astype(np.complex128)
    with np.errstate(invalid="ignore", over="ignore"):
        noise = np.where(same, 0.0, np.abs(w - g) ** 2).sum()
    return snr_db(float((np.abs(w[np.isfinite(w)]) ** 2).sum()), float(noise))


def _called(model: torch.nn.Module, sample: Any) -> Arrays:
    args, kwargs = as_call(sample)
    with torch.no_grad():
        leaves = _leaves(model(*args, **kwargs))
    return tuple(leaf.numpy(force=True).copy() for leaf in leaves if isinstance(leaf, torch.Tensor))


def _leaves(returned: Any) -> list[Any]:
    """Returns what is in containers, and in dataclasses that torch does not know as such yet."""

    def is_strange(value: Any) -> bool:
        return dataclasses.is_dataclass(value) and type(value) not in pytree.SUPPORTED_NODES

    every = []
    for leaf in pytree.tree_leaves(returned, is_leaf=is_strange):
        parts = (
            [getattr(leaf, f.name) for f in dataclasses.fields(leaf)] if is_strange(leaf) else []
        )
        every += [one for part in parts for one in _leaves(part)] if is_strange(leaf) else [leaf]
    return every


def _shaken(sample: Any) -> Any:
    """Returns the sample with noise in its last bits."""
    chance = torch.Generator().manual_seed(0)

    def shake(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        return value * (1 + SHAKE * torch.randn(value.shape, generator=chance))

    if isinstance(sample, dict):
        return {name: shake(value) for name, value in sample.items()}
    return tuple(shake(value) for value in sample)


def _shake_weights(model: torch.nn.Module) -> None:
    """Changes the last bits of the weights: where a model answers all inputs alike, theirs decide."""
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.mul_(1 + LAST_BIT * torch.randn(parameter.shape, generator=chance))


def _flat(sample: Any) -> Any:
    if isinstance(sample, dict):
        return {name: value.numpy() for name, value in sample.items()}
    return tuple(value.numpy() for value in sample)


def _said(error: Exception) -> dict[str, Any]:
    said: dict[str, Any] = {"error": type(error).__name__, "cause": _cause(error)}
    if not isinstance(error, EdgeoptError):
        return {**said, "what": _short(str(error)), "where": _last_frame(error)}
    said |= {"what": _short(error.what), "where": error.where or "", "hint": error.hint or ""}
    if isinstance(error, UnsupportedError) and error.report is not None:
        rows = error.report.unsupported
        said["operators"] = tuple(
            dict.fromkeys(f"{n.operator} at {n.source}: {n.reason}" for n in rows)
        )
    return said


def _cause(error: BaseException) -> str:
    if error.__cause__ is None:
        return ""
    inner = error.__cause__
    return f"{type(inner).__name__}: {_short(str(inner), 500)} [{_last_frame(inner)}]"


def _last_frame(error: BaseException) -> str:
    """Returns the innermost line that is not torch's: of the model where there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and f.filename.startswith("/")]
    if not own:
        return ""
    line = linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    parts = Path(own[-1].filename).parts
    return f"{'/'.join(parts[-2:])}:{own[-1].lineno}: {line}"


def _short(text: str, length: int = 800) -> str:
    return re.sub(r"\s+", " ", text)[:length]


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) // 1024 if found else 0
