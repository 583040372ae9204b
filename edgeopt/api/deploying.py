"""From a model to a checked bundle, and what there is to deploy to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import torch

    from edgeopt.bundles import Bundle, Preprocess
    from edgeopt.contracts import Device, Progress, Runner, Target, TuneOptions
    from edgeopt.deployment.result import Deployment
    from edgeopt.gate.parity import ParityLimits
    from edgeopt.ir import Program
    from edgeopt.quantization import QuantizationConfig
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.registry import BackendInfo

    Model = torch.nn.Module | torch.export.ExportedProgram

__all__ = [
    "backends",
    "capture",
    "compile",
    "deploy",
    "export",
    "load",
    "quantize",
    "reference",
    "targets",
]


def deploy(  # noqa: PLR0913 (each is one choice of the user)
    model: Model | Program,
    target: str | Path | Target,
    *,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    evaluate: Callable[[Callable[..., Any]], float] | None = None,
    max_drop: float | None = None,
    precision: str = "auto",
    backend: str = "auto",
    device: str | Device | None = None,
    output: Path | str | None = None,
    quantization: QuantizationConfig | Mapping[str, Any] | None = None,
    threads: int = 0,
    strict: bool = False,
    check_speed: bool = True,
    check_samples: int = 16,
    parity: ParityLimits | None = None,
    name: str | None = None,
    preprocess: Preprocess | None = None,
    labels: Sequence[str] | None = None,
    overwrite: bool = False,
    with_runtime: bool = False,
    tune: TuneOptions | int | None = None,
    tuning_database: str = "",
    recipe: str | Path | Recipe | Compressed | Mapping[str, Any] | None = None,
    train_data: Iterable[Any] | None = None,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    teacher: torch.nn.Module | None = None,
    work: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Deployment:
    """Returns the model's deployment on ``target``: a checked bundle, and what was measured.

    Args:
        model: A module in eval mode, an ExportedProgram, or a Program; one that is quantized goes
            as it is, and is compared with its own weights in float.
        target: Name or alias of a device, ``host``, the path of a ``.toml``, or a `Target`.
        example_inputs: A tensor, a tuple, or a dict by argument name. May be left out where the
            model names its own inputs.
        calibration_data: Real inputs, an iterable of a tensor, a tuple, a dict or ``(inputs,
            label)``, for example a DataLoader. About 100 inputs are enough. None is ever made up.
        evaluate: ``evaluate(fn) -> float``, higher is better; ``fn`` is called as the model is.
        max_drop: How far the score may fall below the float model's. Without ``evaluate``: how
            large a share of the samples may name another class than float does.
        precision: ``auto``, ``int8``, ``int8-dynamic``, ``float16`` or ``float32``.
        backend: ``auto`` (the target's first that can do it), or a name.
        device: Where to verify and measure the bundle: ``local``, ``emulated``, ``ssh://pi@host``,
            a name from `edgeopt devices`, a `Device`, or None.
        output: Folder or ``.zip`` to write; None for a temporary folder that lives as long as the
            bundle object does.
        quantization: A `QuantizationConfig`, or its fields; None leaves it to edgeopt.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        strict: Whether a warning fails the deployment.
        check_speed: Whether to compile float32 too, and measure both on this machine.
        check_samples: How many inputs parity and agreement are checked on.
        parity: What parity asks for.
        name: How a person calls the bundle.
        preprocess: How a picture becomes an input; the bundle's runner then takes pictures.
        labels: The classes' names; the bundle's runner then prints them.
        overwrite: Whether a bundle at ``output`` may be replaced.
        with_runtime: Whether the bundle holds the wheels that the device needs, for one without
            a network.
        tune: How long to look for faster kernels before compiling, with a backend that does: a
            number of trials, True for a usual one, or ``edgeopt.TuneOptions(minutes=10)``.
        tuning_database: Where kernels found by tuning are kept and looked up; empty for the
            database in the user's cache folder, ``none`` for kernels as they are.
        recipe: Compression before: as for `compress`, or what that returned. The deployment is
            compared with the model as it was.
        train_data: What the recipe's steps train on; ``data`` of `compress`.
        loss: As for `compress`.
        teacher: As for `compress`.
        work: As for `compress`.
        overrides: As for `compress`.
        progress: Called with (stage, done, total).

    Raises:
        InputError: An option, the model or the data cannot be used; says what to pass.
        TargetError: There is no such target; the nearest names are suggested.
        PluginError: No backend is installed that can do it; says what to type.
        UnsupportedError: The model has an operator that no backend runs; carries the report.
        GateError: The result falls short of what was asked; carries the deployment and says what
            is to blame and what to try.
        DeviceError: The device cannot be reached or prepared.
        BundleError: The bundle cannot be written; nothing half-written is left.
    """
    from edgeopt.deployment.deploy import run_deployment  # noqa: PLC0415 (torch)
    from edgeopt.deployment.request import Request, silent  # noqa: PLC0415

    request = Request(
        example_inputs=example_inputs,
        calibration_data=calibration_data,
        evaluate=evaluate,
        max_drop=max_drop,
        precision=precision,
        backend=backend,
        device=device,
        output=output,
        quantization=quantization,
        threads=threads,
        strict=strict,
        check_speed=check_speed,
        check_samples=check_samples,
        parity=parity,
        name=name,
        preprocess=preprocess,
        labels=labels,
        overwrite=overwrite,
        with_runtime=with_runtime,
        tune=tune,
        tuning_database=tuning_database,
        progress=progress or silent,
    )
    if recipe is None:
        _refuse_alone(train_data=train_data, loss=loss, teacher=teacher, work=work)
        return run_deployment(model, target, request)
    from edgeopt.deployment.with_recipe import (  # noqa: PLC0415 (only with a recipe)
        Cooking,
        deploy_with_recipe,
    )

    cooking = Cooking(recipe, train_data, loss, teacher, work, overrides=overrides)
    return deploy_with_recipe(model, target, request, cooking)


def _refuse_alone(**given: Any) -> None:
    from edgeopt.errors import InputError  # noqa: PLC0415

    for name, value in given.items():
        if value is not None:
            hint = 'pass recipe= too, for example recipe="cnn"'
            raise InputError("is for the steps of a recipe", where=name, hint=hint)


def capture(model: Model, example_inputs: Any = None) -> Program:
    """Returns the model as a Program in canonical form: captured, batch norms folded, and so on.

    Args:
        model: A module in eval mode, or an ExportedProgram.
        example_inputs: A tensor, a tuple, or a dict by argument name; None where the model names
            its own.

    Raises:
        InputError: The model is in training mode, or its inputs are not known.
        CaptureError: torch.export could not capture it.
    """
    from edgeopt.deployment.deploy import as_program  # noqa: PLC0415 (torch)

    return as_program(model, example_inputs)


def quantize(
    model: Model | Program,
    calibration_data: Iterable[Any] | None = None,
    *,
    example_inputs: Any = None,
    config: QuantizationConfig | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Program:
    """Returns the model as a Program with a quantization table.

    Args:
        model: A module, an ExportedProgram, or a float Program.
        calibration_data: Real inputs; not needed for ``int8-dynamic`` and ``float16``.
        example_inputs: As for `capture`.
        config: How to quantize.
        progress: Called with (stage, done, total).
        **settings: Fields of `QuantizationConfig`, for example ``precision="int8-dynamic"``.

    Raises:
        InputError: The model or a setting cannot be used.
        CalibrationError: The data is missing, empty, not finite, or does not fit.
    """
    from edgeopt.deployment.build import make_config  # noqa: PLC0415 (torch)
    from edgeopt.deployment.deploy import as_program  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.quantization import quantize_program  # noqa: PLC0415

    if config is not None and settings:
        raise InputError("config and settings were both given", where="quantize", hint="pass one")
    chosen = config or make_config(settings)
    program = as_program(model, example_inputs)
    return quantize_program(program, calibration_data, chosen, progress=progress)


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
    """Returns the bundle of ``program`` for ``target``. It is not put through the gate.

    Args:
        program: In canonical form, quantized or not.
        target: As for `deploy`.
        backend: ``auto`` or a name.
        output: Folder or ``.zip``; None for a temporary folder.
        samples: Inputs for golden samples, with which the device can check itself.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        overwrite: Whether a bundle at ``output`` may be replaced.
        progress: Called with (stage, done, total).

    Raises:
        EdgeoptError: As for `deploy`, but for the gate.
    """
    from edgeopt.deployment.compile import compile_bundle  # noqa: PLC0415 (torch)

    return compile_bundle(
        program,
        target,
        backend=backend,
        output=output,
        samples=samples,
        threads=threads,
        overwrite=overwrite,
        progress=progress,
    )


def reference(program: Program) -> Runner:
    """Returns a runner of ``program`` in torch, its integer grid simulated exactly."""
    from edgeopt.ir import ReferenceRunner  # noqa: PLC0415 (torch)

    return ReferenceRunner(program)


def load(
    bundle: Path | str | Bundle, *, threads: int = 0, public_key: Path | str | None = None
) -> Runner:
    """Returns a runner of a bundle on this machine; it takes and gives numpy arrays.

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
    from edgeopt.registry import find_backend  # noqa: PLC0415

    held = open_bundle(bundle, public_key)
    return find_backend(held.manifest.backend).load(held.artifact(), threads=threads)


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
