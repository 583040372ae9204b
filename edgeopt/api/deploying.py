"""From a model to a checked bundle, and what there is to deploy to."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from edgeopt.api.by_name import with_bundle, with_example
from edgeopt.options import Groups, QuantizationConfig, options_of
from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import torch

    from edgeopt.bundles import Bundle
    from edgeopt.bundles.application import Prediction
    from edgeopt.bundles.loaded import LoadedBundle
    from edgeopt.contracts import Device, Runner, Target
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.targets import Deployments
    from edgeopt.ir import Program
    from edgeopt.options import Preprocess
    from edgeopt.progress import Progress
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.registry import BackendInfo
    from edgeopt.sources import NamedModel

    Model = torch.nn.Module | torch.export.ExportedProgram | NamedModel | str

__all__ = [
    "backends",
    "capture",
    "compile",
    "deploy",
    "export",
    "load",
    "pixel_input",
    "predict",
    "quantize",
    "reference",
    "targets",
]


@overload
def deploy(model: Model | Program, target: str | Path | Target, **options: Any) -> Deployment: ...
@overload
def deploy(
    model: Model | Program, target: Sequence[str | Path | Target], **options: Any
) -> Deployments: ...
def deploy(  # type: ignore[misc]  # noqa: PLR0913 (the choices of the user, which the overloads leave open)
    model: Model | Program,
    target: str | Path | Target | Sequence[str | Path | Target],
    *,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    evaluate: Callable[[Callable[..., Any]], float] | None = None,
    max_drop: float | None = None,
    max_flash_kb: float | None = None,
    max_ram_kb: float | None = None,
    precision: str = "auto",
    backend: str = "auto",
    device: str | Device | None = None,
    output: Path | str | None = None,
    recipe: str | Path | Recipe | Compressed | Mapping[str, Any] | None = None,
    train_data: Iterable[Any] | None = None,
    progress: Progress | None = None,
    **groups: Unpack[Groups],
) -> Deployment | Deployments:
    """Returns the model's deployment on ``target``: a checked bundle, and what was measured.

    Args:
        model: A module in eval mode, an ExportedProgram, or a Program; one that is quantized goes
            as it is, and is compared with its own weights in float. Or a name, ``timm:resnet18``, as
            for `edgeopt.load_model`, which then brings example inputs, preprocessing, labels and what
            the outputs mean.
        target: Name or alias of a device, ``host``, the path of a ``.toml``, or a `Target`. A list of
            them makes one deployment each, by their names, each in its own folder below ``output``.
        example_inputs: A tensor, a tuple, or a dict by argument name. May be left out where the
            model names its own inputs.
        calibration_data: Real inputs, an iterable of a tensor, a tuple, a dict or ``(inputs,
            label)``, for example a DataLoader. About 100 inputs are enough. None is ever made up.
        evaluate: ``evaluate(fn) -> float``, higher is better; ``fn`` is called as the model is.
        max_drop: How far the score may fall below the float model's. Without ``evaluate``: how
            large a share of the samples may name another class than float does; of outputs that
            are not class scores, the energy of the error over that of the signal (0.01: 20 dB).
        max_flash_kb: How much flash code and constants may take on a microcontroller, in KiB; None
            for what the target has.
        max_ram_kb: How much RAM the arena, with inputs and outputs, may take there, in KiB.
        precision: ``auto``, ``int8``, ``int16x8``, ``int8-dynamic``, ``int4-dynamic``, ``float16`` or
            ``float32``.
        backend: ``auto`` (the target's first that can do it), or a name.
        device: Where to verify and measure the bundle: ``local``, ``emulated``, ``ssh://pi@host``,
            a name from `edgeopt devices`, a `Device`, or None.
        output: Folder or ``.zip`` to write; None for a temporary folder that lives as long as the
            bundle object does.
        recipe: Compression before: as for `compress`, or what that returned. The deployment is
            compared with the model as it was.
        train_data: What the recipe's steps train on; ``data`` of `compress`.
        progress: Called with (stage, done, total).
        **groups: Further options, each group as its type or as a dict of its fields:
            ``calibration`` (`edgeopt.Calibration`: how much of the data is used),
            ``checks`` (`edgeopt.Checks`: parity, speed, strictness),
            ``bundle`` (`edgeopt.BundleOptions`: name, labels, threads, what is replaced),
            ``tuning`` (`edgeopt.TuneOptions`: a search for faster kernels before compiling),
            ``quantization`` (`edgeopt.QuantizationConfig`),
            ``shapes`` (`edgeopt.Shapes`: further batches, lengths, sizes that the bundle serves),
            ``training`` (`edgeopt.RecipeTraining`: loss, teacher and work folder of a recipe).

    Raises:
        InputError: An option, the model or the data cannot be used; says what to pass.
        TargetError: There is no such target; the nearest names are suggested.
        PluginError: No backend is installed that can do it; says what to type.
        UnsupportedError: The model has an operator that no backend runs; carries the report.
        MemoryLimitError: It does not fit into the microcontroller; says what takes how much.
        GateError: The result falls short of what was asked; carries the deployment and says what
            is to blame and what to try.
        DeviceError: The device cannot be reached or prepared.
        BundleError: The bundle cannot be written; nothing half-written is left.
    """
    from edgeopt.deployment.deploy import run_deployment  # noqa: PLC0415 (torch)
    from edgeopt.deployment.recipe_deployment import deploy_with_recipe, recipe_run  # noqa: PLC0415
    from edgeopt.deployment.request import Request  # noqa: PLC0415
    from edgeopt.deployment.targets import deploy_each, several  # noqa: PLC0415
    from edgeopt.options import GROUPS, refuse_unknown  # noqa: PLC0415

    own = set(inspect.signature(deploy).parameters) - {"groups"}
    refuse_unknown(groups, [*own, *GROUPS], "deploy")
    run = recipe_run(recipe, train_data, groups.get("training"))
    model, example_inputs, bundle = with_bundle(model, example_inputs, groups.get("bundle"))
    if bundle is not None:
        groups["bundle"] = bundle
    fields: dict[str, Any] = {
        "example_inputs": example_inputs,
        "calibration_data": calibration_data,
        "evaluate": evaluate,
        "max_drop": max_drop,
        "max_flash_kb": max_flash_kb,
        "max_ram_kb": max_ram_kb,
        "precision": precision,
        "backend": backend,
        "device": device,
        "output": output,
        "progress": progress,
        **{group: value for group, value in groups.items() if group != "training"},
    }
    request = Request(**fields)

    def one(target: str | Path | Target, request: Request) -> Deployment:
        if run is None:
            return run_deployment(model, target, request)
        return deploy_with_recipe(model, target, request, run)

    targets = several(target)
    if targets is None:
        return one(cast("str | Path | Target", target), request)
    return deploy_each(targets, request, one)


def capture(model: Model, example_inputs: Any = None) -> Program:
    """Returns the model as a Program in canonical form: captured, batch norms folded, and so on.

    Args:
        model: A module in eval mode, an ExportedProgram, or a name as for `edgeopt.load_model`.
        example_inputs: A tensor, a tuple, or a dict by argument name; None where the model names
            its own.

    Raises:
        InputError: The model is in training mode, or its inputs are not known.
        CaptureError: torch.export could not capture it.
    """
    from edgeopt.deployment.steps import as_program  # noqa: PLC0415 (torch)

    return as_program(*with_example(model, example_inputs))


@options_of(QuantizationConfig)
def quantize(
    model: Model | Program,
    calibration_data: Iterable[Any] | None = None,
    *,
    example_inputs: Any = None,
    config: QuantizationConfig | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Program:
    """Returns the model as a Program with a quantization table.

    Args:
        model: A module, an ExportedProgram, a float Program, or a name.
        calibration_data: Real inputs; not needed for ``int8-dynamic`` and ``float16``.
        example_inputs: As for `capture`.
        config: How to quantize.
        progress: Called with (stage, done, total).
        **settings: Fields of `QuantizationConfig`, for example ``precision="int8-dynamic"``.

    Raises:
        ConfigError: A setting is unknown or wrong.
        InputError: The model cannot be used.
        CalibrationError: The data is missing, empty, not finite, or does not fit.
    """
    from edgeopt.deployment.steps import as_program  # noqa: PLC0415 (torch)
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.quantization import quantize_program  # noqa: PLC0415

    if config is not None and settings:
        raise InputError("config and settings were both given", where="quantize", hint="pass one")
    options = QuantizationConfig.from_dict(settings if config is None else config)
    program = as_program(*with_example(model, example_inputs))
    with progress_to(progress):
        return quantize_program(program, calibration_data, options)


def compile(  # noqa: A001, PLR0913 (the word that users know; choices of theirs)
    program: Program,
    target: str | Path | Target,
    *,
    backend: str = "auto",
    output: Path | str | None = None,
    samples: Iterable[Any] | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Returns the bundle of ``program`` for ``target``. Of the gate it passes parity alone.

    That takes ``samples``, and an artefact that runs on this machine; `deploy` checks the rest.

    Args:
        program: In canonical form, quantized or not.
        target: As for `deploy`.
        backend: ``auto`` or a name.
        output: Folder or ``.zip``; None for a temporary folder.
        samples: Inputs to check parity on, and for golden samples, with which the device can
            check itself.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        overwrite: Whether a bundle at ``output`` may be replaced.
        progress: Called with (stage, done, total).

    Raises:
        EdgeoptError: As for `deploy`; of the gate's only what parity finds.
    """
    from edgeopt.deployment.compile import compile_bundle  # noqa: PLC0415 (torch)

    with progress_to(progress):
        return compile_bundle(
            program,
            target,
            backend=backend,
            output=output,
            samples=samples,
            threads=threads,
            overwrite=overwrite,
        )


def reference(program: Program) -> Runner:
    """Returns a runner of ``program`` in torch, its integer grid simulated exactly."""
    from edgeopt.ir import ReferenceRunner  # noqa: PLC0415 (torch)

    return ReferenceRunner(program)


def load(
    bundle: Path | str | Bundle, *, threads: int = 0, public_key: Path | str | None = None
) -> LoadedBundle:
    """Returns a runner of a bundle on this machine; it gives arrays for arrays, tensors for tensors.

    Several rows are run one after the other where it takes one. Of a bundle for several shapes, with several methods or with state it is a `BundleRunner`: it picks
    the program, keeps the state (``reset()``), and has ``method(name)``.

    Args:
        bundle: The bundle, or its folder or ``.zip``. Every digest is checked first.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        public_key: Where given, the signature beside the bundle must be of this key.

    Raises:
        InputError: There is nothing at that path.
        BundleError: The bundle is damaged, hostile, of an unknown version, or not signed so.
        PluginError: Its backend is not installed here.
        DeviceError: It is for another kind of machine.
    """
    from edgeopt.bundles import open_bundle  # noqa: PLC0415
    from edgeopt.bundles.loaded import LoadedBundle  # noqa: PLC0415
    from edgeopt.bundles.session import open_runner  # noqa: PLC0415

    opened = open_bundle(bundle, public_key)
    manifest = opened.manifest
    whole = bool(manifest.variants or manifest.states)
    return LoadedBundle(open_runner(opened, threads=threads), manifest.interface(), whole=whole)


def predict(
    bundle: Path | str | Bundle,
    value: Any,
    *,
    threads: int = 0,
    public_key: Path | str | None = None,
) -> Prediction:
    """Returns what a bundle says of a picture, a text or a sound, on this machine.

    The numbers are those of the bundle's ``run.py``. For more than one, open it once:
    ``with edgeopt.Application.open(bundle) as application: application(picture)``.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        value: As `Application` takes it: the path of a picture or a picture, a text, a sound.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        public_key: Where given, the signature beside the bundle must be of this key.

    Raises:
        EdgeoptError: As `load`; or the bundle does not say what its outputs mean, or the value is not
            what it takes.
    """
    from edgeopt.bundles.application import Application  # noqa: PLC0415

    with Application.open(bundle, threads=threads, public_key=public_key) as application:
        return application(value)


def pixel_input(model: torch.nn.Module, preprocess: Preprocess) -> torch.nn.Module:
    """Returns a module that takes uint8 pixels, (1, height, width, channels), and normalizes them.

    ``BundleOptions(preprocess=Preprocess(..., inside=True))`` makes `deploy` do this; by hand it is for
    recipes, for search, and for `capture`.

    Args:
        model: What takes one picture, normalized.
        preprocess: How it is normalized: scale, mean, std, color and layout.

    Raises:
        InputError: The model is no module.
    """
    from edgeopt.processing.pixels import pixel_input as put  # noqa: PLC0415 (torch)

    return put(model, preprocess)


def export(program: Program, path: Path | str, *, format: str = "onnx") -> Path:  # noqa: A002
    """Returns ``path`` after writing ``program`` there in an interchange format.

    Args:
        program: In canonical form, quantized or not.
        path: The file.
        format: ``onnx``: with QuantizeLinear and DequantizeLinear where the program is quantized.

    Raises:
        InputError: The format is unknown.
        PluginError: What the format needs is not installed.
        UnsupportedError: An operator has no counterpart there.
    """
    from pathlib import Path  # noqa: PLC0415

    from edgeopt.errors import InputError  # noqa: PLC0415

    if format != "onnx":
        raise InputError(f'there is no format "{format}"', where="format", hint="formats: onnx")
    from edgeopt.interchange.onnx import export_onnx  # noqa: PLC0415 (torch)

    export_onnx(program, Path(path))
    return Path(path)


def targets() -> Mapping[str, Target]:
    """Returns every target by its name."""
    from edgeopt.registry import targets as known  # noqa: PLC0415

    return known()


def backends() -> Mapping[str, BackendInfo]:
    """Returns every installed backend by its name; none is imported."""
    from edgeopt.registry import backends as installed  # noqa: PLC0415

    return installed()
