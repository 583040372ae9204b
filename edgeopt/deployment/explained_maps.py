"""What a model looks at, of a deployment or of any runner beside the float model; and the pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.contracts.storage import Precision
from edgeopt.errors import EdgeoptError, InputError
from edgeopt.explaining.compare import Comparer, tuple_of
from edgeopt.explaining.pictures import is_picture, write_maps, write_picture
from edgeopt.explaining.regions import regions_of
from edgeopt.files import write_file
from edgeopt.gate.metrics import class_axis
from edgeopt.ir import Program, ReferenceRunner
from edgeopt.qat import QuantizedModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeopt.deployment.steps import Baseline, Checked
    from edgeopt.explaining import AttributionAgreement, Explanation
    from edgeopt.explaining.attribution import Method
    from edgeopt.explaining.compare import Attributed
    from edgeopt.gate.metrics import Arrays

__all__ = ["Attributing", "attributions_beside", "attributions_of", "with_pictures"]

EXPLANATION = "explanation.json"


@dataclass(frozen=True, eq=False)
class Attributing:
    """What of attributions is asked for.

    Attributes:
        samples: How many inputs; 0 for no attributions.
        worst: How many of the inputs that differ most are told of.
        method: How they are computed.
        beside: Further models of the same inputs to hold against float: name to module or Program.
        output: Folder for ``explanation.json`` and pictures; None for none.
        tokens: What stands for a token that is left out, and for the floor another one.
    """

    samples: int = 4
    worst: int = 4
    method: Method = "ablation"
    beside: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    tokens: tuple[int, int] = (0, 1)


def attributions_of(
    baseline: Baseline,
    checked: Checked,
    asked: Attributing,
    notes: list[str],
) -> tuple[AttributionAgreement, ...]:
    """Returns what each step changed in what the model looks at; why not is added to ``notes``."""
    precision, build = checked.candidate.precision, checked.build
    runners: dict[str, tuple[Any, Any]] = {}
    if precision != Precision.FLOAT32:
        module = None
        if asked.method == "integrated-gradients":
            module = QuantizedModule(checked.candidate.program)
        runner = build.runner or ReferenceRunner(build.specified)
        runners[str(precision)] = (runner, module)
    return attributions_beside(
        baseline.program,
        baseline.samples.checks,
        runners,
        asked,
        notes,
        values=checked.gate.values,
        module=baseline.module,
    )


def attributions_beside(  # noqa: PLR0913 (what is compared, and how)
    program: Program,
    samples: Sequence[Arrays],
    runners: Mapping[str, tuple[Any, Any]],
    asked: Attributing,
    notes: list[str],
    *,
    values: Any = (),
    module: Any = None,
) -> tuple[AttributionAgreement, ...]:
    """Returns attributions of each runner beside those of the float program.

    Args:
        program: The float program.
        samples: Inputs.
        runners: Name to what runs, and the module with its gradients, where the method needs it.
        asked: What is asked for.
        notes: Where is said why not.
        values: Outputs that are no scores.
        module: The float module, for gradients.
    """
    models = {**runners, **{name: _beside(one, program) for name, one in asked.beside.items()}}
    chosen = samples[: asked.samples]
    if not asked.samples or not models:
        return ()
    if not chosen:
        notes.append("what it looks at was not asked: no input is known; pass calibration_data")
        return ()
    try:
        comparer = _comparer(program, chosen, asked, values, module)
        attributed = {
            name: comparer.attributed(name, tuple_of(runner), gradient)
            for name, (runner, gradient) in models.items()
        }
    except EdgeoptError as error:
        hint = f" ({error.hint})" if error.hint else ""
        notes.append(f"what it looks at was not asked: {error.what}{hint}")
        return ()
    return _drawn(comparer, attributed, chosen, asked)


def _comparer(
    program: Program, samples: Sequence[Arrays], asked: Attributing, values: Any, module: Any
) -> Comparer:
    regions = regions_of(program.signature, samples[0])
    if asked.method == "integrated-gradients":
        if regions.kind == "tokens":
            raise InputError("tokens have no gradient", hint="method='ablation' leaves them out")
        if module is None:
            raise InputError("gradients need the float module", hint="pass a torch.nn.Module")
    specs = list(enumerate(program.signature.outputs))
    scored = [i for i, s in specs if class_axis(tuple(s.shape), s.dtype) and s.name not in values]
    floats = [i for i, s in specs if s.dtype.startswith("float")]
    output = next(iter([*scored, *floats]), None)
    if output is None:
        raise InputError("no output holds real numbers")
    return Comparer(
        signature=program.signature,
        samples=samples,
        function=tuple_of(ReferenceRunner(program)),
        module=module,
        method=asked.method,
        output=output,
        by_class=bool(scored),
        tokens=asked.tokens,
    )


def _beside(model: Any, program: Program) -> tuple[Any, Any]:
    """Returns what runs a further model, and the module with its gradients."""
    if isinstance(model, Program):
        quantized = any(spec.is_weight for spec in model.quant.values())
        return ReferenceRunner(model), QuantizedModule(model) if quantized else None
    if isinstance(model, torch.nn.Module):
        return _Runs(model), model
    if callable(model):
        return model, None
    what = f"expected a module, a Program or a function of arrays, got a {type(model).__name__}"
    raise InputError(what, where="beside", hint=f"its inputs are {program.signature.inputs}")


class _Runs:
    """A module on arrays."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __call__(self, *arrays: Any) -> Arrays:
        with torch.no_grad():
            returned = self._module(*(torch.from_numpy(array) for array in arrays))
        outputs = returned if isinstance(returned, (tuple, list)) else (returned,)
        return tuple(output.numpy() for output in outputs)


def _drawn(
    comparer: Comparer,
    attributed: Mapping[str, Attributed],
    samples: Sequence[Arrays],
    asked: Attributing,
) -> tuple[AttributionAgreement, ...]:
    """Returns the numbers, with the files of the maps where a folder was named."""
    names: list[str] = []
    if asked.output is not None:
        for index, (looked, sample) in enumerate(zip(comparer.looked, samples, strict=True)):
            maps = [("float", looked.map), *((n, a.maps[index]) for n, a in attributed.items())]
            name = f"looks_at_{index}.png"
            write_maps(asked.output / name, sample[looked.regions.place], looked.regions, maps)
            names.append(name)
    return tuple(
        msgspec.structs.replace(one.agreement, pictures=tuple(names)) for one in attributed.values()
    )


def with_pictures(
    explanation: Explanation, program: Program, samples: Sequence[Arrays], asked: Attributing
) -> Explanation:
    """Returns an explanation whose worst inputs are written as pictures, and itself as JSON, where asked.

    Args:
        explanation: The answers.
        program: The float program.
        samples: Inputs.
        asked: What is asked for.
    """
    if asked.output is None:
        return explanation
    worst = []
    for one in explanation.worst_samples:
        regions = regions_of(program.signature, samples[one.index])
        name = f"input_{one.index}.png"
        if is_picture(regions):
            write_picture(asked.output / name, samples[one.index][regions.place], regions)
        worst.append(msgspec.structs.replace(one, picture=name if is_picture(regions) else ""))
    complete = msgspec.structs.replace(explanation, worst_samples=tuple(worst))
    text = msgspec.json.format(msgspec.json.encode(complete), indent=1)
    write_file(asked.output / EXPLANATION, text + b"\n")
    return complete
