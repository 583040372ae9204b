"""What `import edgeopt` offers. Each function imports what it needs when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    import torch

    from edgeopt.bundles import Bundle, Preprocess
    from edgeopt.contracts import Device, Progress, Runner, Target, TuneOptions
    from edgeopt.deployment.many import Outcome
    from edgeopt.deployment.result import Deployment
    from edgeopt.distillation import Distilled
    from edgeopt.gate.parity import ParityLimits
    from edgeopt.ir import Program
    from edgeopt.measure import Comparison, OperatorProfile, Profile
    from edgeopt.pruning import Pruned
    from edgeopt.quantization import QuantizationConfig
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.registry import BackendInfo
    from edgeopt.searching import SearchResult
    from edgeopt.searching.trials import Watch

    Model = torch.nn.Module | torch.export.ExportedProgram

__all__ = [
    "backends",
    "capture",
    "compare",
    "compile",
    "compress",
    "deploy",
    "distill",
    "export",
    "load",
    "load_pruned",
    "profile",
    "profile_many",
    "profile_operators",
    "prune",
    "quantize",
    "reference",
    "search",
    "targets",
    "train_quantized",
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


def search(  # noqa: PLR0913 (each is one choice of the user)
    model: Model | Program,
    target: str | Path | Target,
    *,
    evaluate: Callable[[Callable[..., Any]], float] | None = None,
    max_drop: float | None = None,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    prefer: str | None = None,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    device: str | Device | None = None,
    backends: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    quantization: QuantizationConfig | Mapping[str, Any] | None = None,
    pruning: bool | Sequence[float] | Mapping[str, Any] | None = None,
    finetune: Callable[[torch.nn.Module, int], Any] | None = None,
    trials: int = 40,
    minutes: float = 0.0,
    study: str | Path | None = None,
    seed: int = 0,
    threads: int = 0,
    check_samples: int = 64,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> SearchResult:
    """Returns the best compression of ``model`` under a budget, and every trial that led there.

    Each trial is compiled, put through the parity gate, scored by ``evaluate`` and timed on the
    device. Needs Optuna: ``pip install "edgeopt[compress]"``.

    Args:
        model: A module in eval mode, an ExportedProgram, or a Program; to prune it, a module.
        target: As for `deploy`.
        evaluate: ``evaluate(fn) -> float``, higher is better. Without it the score is the share of
            ``check_samples`` inputs that name the same class as the float model.
        max_drop: How far the score may fall below the float model's.
        max_latency_ms: How long the median of a call may take on the device.
        max_size_mb: How large the compiled model may be, in millions of bytes.
        prefer: What decides within the budget: ``score``, ``latency`` or ``size``. Where left out
            latency with a ``max_drop`` (size where none can be measured), else the score.
        example_inputs: As for `deploy`.
        calibration_data: As for `deploy`; without it there is no int8.
        device: Where latency is measured; this machine where it is the target. An emulated device
            has no latency.
        backends: Names of backends to try; those that the target prefers where left out.
        precisions: Of ``int8``, ``int8-dynamic``, ``float16`` and ``float32``; all where left out.
        quantization: Settings that are not to be searched: a `QuantizationConfig`, or its fields.
        pruning: Shares of the units to try pruning, True for usual ones, or options of `prune` with
            ``ratios`` among them. Usual ones where only ``finetune`` is given, else none.
        finetune: Called with the pruned module and the step, to train it.
        trials: How many configurations the study shall hold, those of earlier runs and of other
            workers included; 0: no limit of that kind.
        minutes: How long this run may start new trials; 0: no limit of that kind.
        study: A path (SQLite) or a URL of SQLAlchemy, for many workers on one study; ``none`` to
            keep nothing. In the user's cache folder, one for each search, where left out.
        seed: Where the search starts.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        check_samples: How many inputs parity and agreement are checked on.
        progress: Called with (stage, done, total).
        watch: Called with a `SearchEvent` after each trial.

    Raises:
        InputError: An option, the model, the data or the study cannot be used.
        TargetError: There is no such target.
        PluginError: Optuna or every backend is missing; says what to type.
        UnsupportedError: No backend runs the model.
        BudgetError: Nothing that was tried keeps to the budget; says the nearest, and carries the
            result.
        DeviceError: The device cannot be reached, or fails again and again.
    """
    from edgeopt.searching.options import SearchOptions  # noqa: PLC0415
    from edgeopt.searching.run import run_search  # noqa: PLC0415 (torch)

    options = SearchOptions(
        example_inputs=example_inputs,
        calibration_data=calibration_data,
        evaluate=evaluate,
        max_drop=max_drop,
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        prefer=prefer,
        device=device,
        backends=backends,
        precisions=precisions,
        quantization=quantization,
        pruning=pruning,
        finetune=finetune,
        trials=trials,
        minutes=minutes,
        study=study,
        seed=seed,
        threads=threads,
        check_samples=check_samples,
        progress=progress,
        watch=watch,
    )
    return run_search(model, target, options)


def load(bundle: Path | str | Bundle, *, threads: int = 0) -> Runner:
    """Returns a runner of a bundle on this machine; it takes and gives numpy arrays.

    Args:
        bundle: The bundle, or its folder or ``.zip``. Every digest is checked first.
        threads: Threads of the runtime; 0 leaves it to the runtime.

    Raises:
        InputError: There is nothing at that path.
        BundleError: The bundle is damaged, hostile or of an unknown version.
        PluginError: Its backend is not installed here.
        DeviceError: It is for another kind of machine.
    """
    from edgeopt.bundles import Bundle, read_bundle  # noqa: PLC0415
    from edgeopt.registry import find_backend  # noqa: PLC0415

    held = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    return find_backend(held.manifest.backend).load(held.artifact(), threads=threads)


def profile(
    bundle: Path | str | Bundle, *, device: str | Device = "local", **options: Any
) -> Profile:
    """Returns latency, memory and facts of a bundle on a device.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        device: ``local``, ``emulated``, ``ssh://pi@host``, a name from `edgeopt devices`, or a
            `Device`.
        **options: As `edgeopt.measure.profile_bundle` takes them: ``runs``, ``threads`` …

    Raises:
        BundleError: The bundle is damaged.
        DeviceError: The device cannot be reached or prepared.
    """
    from edgeopt.deployment.on_device import profile_on  # noqa: PLC0415

    return profile_on(bundle, device, **options)


def profile_operators(
    bundle: Path | str | Bundle, *, device: str | Device = "local", **options: Any
) -> OperatorProfile:
    """Returns what each operator of a bundle takes on a device, by the runtime's own profiler.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        device: As for `profile`.
        **options: As for `profile`.

    Raises:
        BundleError: The bundle is damaged.
        DeviceError: The runtime there cannot time operators, or the device is emulated.
    """
    from edgeopt.deployment.on_device import operators_on  # noqa: PLC0415

    return operators_on(bundle, device, **options)


def compare(
    a: Path | str | Bundle,
    b: Path | str | Bundle,
    *,
    device: str | Device = "local",
    operators: bool = False,
    **options: Any,
) -> Comparison:
    """Returns how the times of two bundles relate, run in turn on one device.

    Args:
        a: The first bundle, or its folder or ``.zip``.
        b: The second.
        device: As for `profile`.
        operators: Whether to compare operator by operator too.
        **options: As for `profile`.

    Raises:
        BundleError: A bundle is damaged.
        DeviceError: One does not run there, or the device is emulated.
    """
    from edgeopt.deployment.on_device import compare_on  # noqa: PLC0415

    return compare_on(a, b, device, operators=operators, **options)


def profile_many(
    bundle: Path | str | Bundle,
    devices: Sequence[str | Device],
    *,
    executor: Executor | str | None = None,
    **options: Any,
) -> list[Outcome]:
    """Returns what came of each device, measured side by side; one failure loses no other result.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        devices: Each as for `profile`.
        executor: What runs the measurements: ``ray`` or ``ray://HOST:PORT`` for a Ray cluster, or
            anything with ``submit`` as `concurrent.futures.Executor` has it; a thread for each
            device where None.
        **options: As for `profile`.

    Raises:
        InputError: There is no device, or one is named twice.
        BundleError: The bundle is damaged.
    """
    from edgeopt.bundles import Bundle, read_bundle  # noqa: PLC0415
    from edgeopt.deployment.many import profile_many as measure  # noqa: PLC0415

    held = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    return measure(held, devices, executor=executor, **options)


def prune(  # noqa: PLR0913 (each is one choice of the user)
    model: torch.nn.Module,
    example_inputs: Any,
    *,
    ratio: float | Mapping[str, float] | None = None,
    macs: float | None = None,
    parameters: float | None = None,
    size_bytes: float | None = None,
    latency_ms: float | None = None,
    importance: str = "activation",
    calibration_data: Iterable[Any] | None = None,
    scope: str = "global",
    keep: Sequence[str] = (),
    sensitivity: float | None = None,
    target: str | Path | Target | None = None,
    multiple: int | None = None,
    steps: int = 1,
    finetune: Callable[[torch.nn.Module, int], Any] | None = None,
    loss: Callable[[torch.nn.Module, Any], Any] | None = None,
    residual_width: bool = False,
    max_ratio: float = 0.9,
    samples: int = 64,
    seed: int = 0,
) -> Pruned:
    """Returns a smaller copy of the model: whole channels, heads and neurons are gone.

    Args:
        model: A module; it is not changed.
        example_inputs: A tensor, a tuple, or a dict by argument name.
        ratio: Goal: the share of units to remove, over all layers; or layer name to share.
        macs: Goal: multiply-accumulates left; up to 1 it is a share of the model's.
        parameters: Goal: parameters left; up to 1 it is a share of the model's.
        size_bytes: Goal: bytes of the parameters left, as float32.
        latency_ms: Goal: the roofline *estimate* on ``target``, in ms. Measure afterwards.
        importance: ``activation`` (the sum of |w·x| over real inputs), ``l1``, ``l2``, ``taylor``,
            ``bn_scale`` or ``random``.
        calibration_data: Real inputs, for ``activation``, ``taylor`` and ``sensitivity``.
        scope: ``global`` ranks all layers together; ``layer`` takes the same share of each.
        keep: Names of layers, or of modules around them, to leave as they are.
        sensitivity: Layers are kept whose least important quarter, muted, moves the output by more
            than this (relative, L2); None asks nothing.
        target: The device; widths keep to its vector multiple.
        multiple: Widths keep to a multiple of this instead.
        steps: In how many steps the goal is reached.
        finetune: ``finetune(model, step)``, called after each step; step 1 is the first.
        loss: For ``taylor``: ``loss(model, item)`` of one item of ``calibration_data``.
        residual_width: Whether the residual width of transformers may be pruned too.
        max_ratio: At most so much of one layer is removed; not with a ratio for each layer.
        samples: At most so many items of ``calibration_data`` are read.
        seed: For ``random``.

    Raises:
        InputError: A choice cannot be used, no layer can be pruned, or a budget cannot be met.
        CalibrationError: Data is needed and missing, does not fit, or is not finite.
        TargetError: There is no such target.
        PluginError: Torch-Pruning is not installed.
    """
    from edgeopt.pruning import prune as run  # noqa: PLC0415 (torch)

    return run(
        model,
        example_inputs,
        ratio=ratio,
        macs=macs,
        parameters=parameters,
        size_bytes=size_bytes,
        latency_ms=latency_ms,
        importance=importance,
        calibration_data=calibration_data,
        scope=scope,
        keep=keep,
        sensitivity=sensitivity,
        target=target,
        multiple=multiple,
        steps=steps,
        finetune=finetune,
        loss=loss,
        residual_width=residual_width,
        max_ratio=max_ratio,
        samples=samples,
        seed=seed,
    )


def load_pruned(
    path: Path | str, model: torch.nn.Module | Callable[[], torch.nn.Module]
) -> torch.nn.Module:
    """Returns the pruned model that `Pruned.save` wrote, in eval mode.

    Args:
        path: The folder.
        model: A module of the unpruned architecture, or what makes one; its weights do not matter.

    Raises:
        InputError: There is no such folder, it is damaged, or the model is another one; says where.
    """
    from edgeopt.pruning import load_pruned as read  # noqa: PLC0415 (torch)

    return read(path, model)


def targets() -> Mapping[str, Target]:
    """Returns every target by its name."""
    from edgeopt.registry import targets as known  # noqa: PLC0415

    return known()


def backends() -> Mapping[str, BackendInfo]:
    """Returns every installed backend by its name; none is imported."""
    from edgeopt.registry import backends as installed  # noqa: PLC0415

    return installed()


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


def distill(  # noqa: PLR0913 (each is one choice of the user)
    student: torch.nn.Module,
    teacher: torch.nn.Module,
    data: Iterable[Any],
    *,
    epochs: int,
    temperature: float = 4.0,
    logits_weight: float = 1.0,
    features: Mapping[str, str] | None = None,
    features_weight: float = 1.0,
    attention: Mapping[str | int, str | int] | None = None,
    attention_weight: float = 1.0,
    task_loss: Callable[[Any, Any], torch.Tensor] | None = None,
    task_weight: float = 1.0,
    **training: Any,
) -> Distilled:
    """Returns a copy of ``student``, trained on what ``teacher`` says, and the curves.

    Args:
        student: What learns; it is not changed.
        teacher: What is learned from; it is run in eval mode and not changed.
        data: Batches, a DataLoader or a list: a tensor, ``(inputs, target)``, or a dict by
            argument name (with ``labels``, where there are any).
        epochs: How often the data is gone through.
        temperature: Of the softened classes; the higher, the more the unlikely ones count.
        logits_weight: How much the teacher's classes count; 0 where the two have other classes.
        features: Module of the student to the module of the teacher whose output it shall have.
        features_weight: How much they count.
        attention: Layer or module of the student to that of the teacher that it shall look like:
            numbers for attention maps of Hugging Face models, names for modules.
        attention_weight: How much it counts.
        task_loss: ``task_loss(output, target)``; None takes the loss that a Hugging Face model
            returns, or none.
        task_weight: How much it counts.
        **training: Fields of `edgeopt.TrainingOptions`: ``learning_rate``, ``optimizer``,
            ``schedule``, ``evaluate``, ``patience``, ``checkpoint``, ``resume``, ``seed`` …

    Raises:
        InputError: Student and teacher do not fit together, or an option or the data is wrong.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    from edgeopt.distillation import Wishes, distill_student  # noqa: PLC0415 (torch)
    from edgeopt.training.options import make_options  # noqa: PLC0415

    wishes = Wishes(
        temperature=temperature,
        logits_weight=logits_weight,
        features=dict(features or {}),
        features_weight=features_weight,
        attention=dict(attention or {}),
        attention_weight=attention_weight,
        task_loss=task_loss,
        task_weight=task_weight,
    )
    return distill_student(student, teacher, data, wishes, make_options(epochs, training))


def train_quantized(  # noqa: PLR0913 (each is one choice of the user)
    model: Model | Program,
    data: Iterable[Any],
    loss: Callable[[Any, Any], torch.Tensor],
    *,
    epochs: int,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    quantization: QuantizationConfig | Mapping[str, Any] | None = None,
    ranges: str = "learned",
    freeze_after: float = 0.7,
    **training: Any,
) -> Program:
    """Returns a quantized Program whose weights were trained on the grid that it runs on.

    Args:
        model: A float module, ExportedProgram or Program, which is quantized first (PTQ), or a
            quantized Program, from whose table training starts.
        data: Batches, a DataLoader or a list: ``(inputs, target)`` or a dict by argument name;
            batches may hold any multiple of the batch that the program was captured with.
        loss: ``loss(output, target)``; the whole dict where it has no ``labels``.
        epochs: How often the data is gone through.
        example_inputs: As for `capture`.
        calibration_data: What PTQ calibrates on; ``data`` where it is None.
        quantization: A `QuantizationConfig` or its fields, for example ``{"weight_bits": 4}``.
        ranges: ``learned`` (step sizes are trained), ``moving`` (averages of the extremes seen;
            the weights' steps are trained) or ``fixed`` (those of PTQ).
        freeze_after: Share of training after which all grids stay as they are.
        **training: Fields of `edgeopt.TrainingOptions`, as for `distill`. ``evaluate`` is given a
            function that is called as the model is and computes what the Program computes; also
            the start is scored, and comes back where no epoch was better.

    Raises:
        InputError: The model, an option or the data cannot be used.
        CalibrationError: The model must be quantized first and the data does not fit.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    from edgeopt.deployment.build import make_config  # noqa: PLC0415 (torch)
    from edgeopt.deployment.deploy import as_program  # noqa: PLC0415
    from edgeopt.qat import QatOptions, train_program  # noqa: PLC0415
    from edgeopt.quantization import QuantizationConfig as Config  # noqa: PLC0415
    from edgeopt.training.options import make_options  # noqa: PLC0415

    config = (
        quantization if isinstance(quantization, Config) else make_config(dict(quantization or {}))
    )
    return train_program(
        as_program(model, example_inputs),
        data,
        loss,
        QatOptions(config, calibration_data, ranges, freeze_after),
        make_options(epochs, training),
    )


def compress(  # noqa: PLR0913 (each is one choice of the user)
    model: Model | Program,
    recipe: str | Path | Recipe | Mapping[str, Any],
    *,
    example_inputs: Any = None,
    data: Iterable[Any] | None = None,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    calibration_data: Iterable[Any] | None = None,
    evaluate: Callable[[Callable[..., Any]], float] | None = None,
    target: str | Path | Target | None = None,
    teacher: torch.nn.Module | None = None,
    work: Path | str | None = None,
    resume: bool = True,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Returns what a recipe makes of the model: a Program, and what each step cost and brought.

    Args:
        model: A module, which is not changed; an ExportedProgram or a Program where the recipe
            only quantizes.
        recipe: Name of a built-in one (``cnn``, ``vision-transformer``, ``text-encoder``,
            ``ptq``), path of a ``.toml``, what such a file holds, or an `edgeopt.Recipe`.
        example_inputs: As for `capture`.
        data: Training batches, a DataLoader or a list: ``(inputs, target)`` or a dict by argument
            name.
        loss: ``loss(output, target)``. Without one students learn from the teacher alone, or from
            the loss that a Hugging Face model returns.
        calibration_data: Real inputs, for pruning and quantization; those of ``data`` where None.
        evaluate: ``evaluate(fn) -> float``, higher is better; asked before the first and after
            each step, and after each epoch of training, of which the best is then kept.
        target: The device: widths keep to its vector multiple, weights to its bits.
        teacher: What students learn from; the model as it was given where None.
        work: Folder in which the result of each step is kept. A run that was killed goes on from
            there, and repeats no finished step.
        resume: Whether to go on where ``work`` holds a run; otherwise it is begun anew there.
        overrides: ``{"prune.macs": 0.4, "*.epochs": 1}``: options of steps that are different.
        progress: Called with (stage, done, total).

    Raises:
        InputError: The recipe is wrong, a step lacks something (says what to pass), or ``work`` is
            of another recipe or model.
        EdgeoptError: What the functions of the steps raise; the step is named.
    """
    from edgeopt.recipes.compress import compress_model  # noqa: PLC0415 (torch)
    from edgeopt.recipes.find import find_recipe, with_overrides  # noqa: PLC0415
    from edgeopt.recipes.given import Given  # noqa: PLC0415
    from edgeopt.registry import find_target  # noqa: PLC0415

    given = Given(
        example_inputs=example_inputs,
        data=data,
        loss=loss,
        calibration_data=calibration_data,
        evaluate=evaluate,
        target=None if target is None else find_target(target),
        teacher=teacher,
        progress=progress,
    )
    chosen = with_overrides(find_recipe(recipe), overrides or {})
    return compress_model(model, chosen, given, work=work, resume=resume)
