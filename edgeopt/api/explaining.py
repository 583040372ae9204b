"""Why a model is as it is on a device, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.api.by_name import with_bundle, with_example

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device, Target
    from edgeopt.explaining import Explanation
    from edgeopt.explaining.attribution import Method
    from edgeopt.ir import Program
    from edgeopt.progress import Progress
    from edgeopt.sources import NamedModel

    Model = torch.nn.Module | torch.export.ExportedProgram | NamedModel | str

__all__ = ["explain"]


def explain(  # noqa: PLR0913 (each is one choice of the user)
    what: Model | Program | Bundle | Path,
    target: str | Path | Target | None = None,
    *,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    precision: str = "auto",
    backend: str = "auto",
    device: str | Device = "local",
    beside_float: Model | Program | Bundle | None = None,
    beside: Mapping[str, Any] | None = None,
    attributions: int = 4,
    method: Method = "ablation",
    tokens: tuple[int, int] = (0, 1),
    measure: bool = True,
    output: Path | str | None = None,
    progress: Progress | None = None,
    **groups: Any,
) -> Explanation:
    """Returns why operators are float, how fast it is and why, what loses most, which inputs differ, and what it looks at.

    A model goes through the steps of `edgeopt.deploy` for that, without a bundle that is kept; of a bundle is told what
    it holds and what can be measured here. What could not be answered is in ``notes``, with what to pass.

    Args:
        what: A model as for `edgeopt.deploy`, or a bundle (or its path).
        target: The device; not for a bundle, which knows its own.
        example_inputs: As for `edgeopt.deploy`.
        calibration_data: Real inputs, as there; of a bundle, the inputs that are compared instead of its golden samples.
        precision: What to explain; not for a bundle.
        backend: As for `edgeopt.deploy`; not for a bundle.
        device: Where operators are timed.
        beside_float: Of a bundle: the float model that it was made of (then inputs and attributions are compared), or a
            float32 bundle of it (then times are).
        beside: Further models that take the same inputs, such as a pruned one: name to module, Program or function of
            arrays; what each looks at is held against float too.
        attributions: On how many inputs to ask what it looks at; 0 for not at all. Takes a few hundred calls an input.
        method: ``ablation`` asks any model by leaving parts out; ``integrated-gradients`` takes a module, and int8 by
            the straight-through estimator of `edgeopt.qat`.
        tokens: Of a model of tokens: what stands for one that is left out, and for the floor another one.
        measure: Whether to compile the model once more, with the worst value in float, and say what that costs.
        output: Folder for ``explanation.json`` and pictures; None for none.
        progress: Called with (stage, done, total).
        **groups: Further options as for `edgeopt.deploy`: ``calibration``, ``checks``, ``bundle``, ``quantization``.

    Raises:
        InputError: An option, the model or the data cannot be used.
        BundleError: The bundle is damaged.
        EdgeoptError: What the steps of `edgeopt.deploy` raise; no gate fails.
    """
    from edgeopt.bundles import Bundle, read_bundle  # noqa: PLC0415
    from edgeopt.deployment.explained_maps import Attributing  # noqa: PLC0415 (torch)
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.options import GROUPS, refuse_unknown  # noqa: PLC0415

    asked = Attributing(
        samples=attributions,
        method=method,
        beside=dict(beside or {}),
        output=None if output is None else Path(output),
        tokens=tokens,
    )
    if isinstance(what, (Bundle, Path)):
        from edgeopt.deployment.explained_bundle import explain_bundle  # noqa: PLC0415

        if target is not None:
            raise InputError("a bundle knows its own", where="target", hint="leave it out")
        model, example_inputs = with_example(beside_float, example_inputs)
        return explain_bundle(
            read_bundle(what) if isinstance(what, Path) else what,
            asked,
            beside_float=model,
            example_inputs=example_inputs,
            data=calibration_data,
            device=device,
            progress=progress,
        )
    from edgeopt.deployment.explained import explain_model  # noqa: PLC0415
    from edgeopt.deployment.request import Request  # noqa: PLC0415

    refuse_unknown(groups, [name for name in GROUPS if name != "training"], "explain")
    if target is None:
        raise InputError("for which device?", where="target", hint="pass target='host'")
    model, example_inputs, bundle = with_bundle(what, example_inputs, groups.get("bundle"))
    if bundle is not None:
        groups["bundle"] = bundle
    fields: dict[str, Any] = {
        "example_inputs": example_inputs,
        "calibration_data": calibration_data,
        "precision": precision,
        "backend": backend,
        "progress": progress,
        **groups,
    }
    request = Request(**fields)
    return explain_model(model, target, request, asked, device=device, measure=measure)
