"""A smaller model: pruned, distilled, trained on integers, or searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import torch

    from edgeopt.contracts import Device, Progress, Target
    from edgeopt.distillation import Distilled
    from edgeopt.ir import Program
    from edgeopt.pruning import Pruned
    from edgeopt.quantization import QuantizationConfig
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.searching import SearchResult
    from edgeopt.searching.trials import Watch

    Model = torch.nn.Module | torch.export.ExportedProgram

__all__ = [
    "compress",
    "distill",
    "load_pruned",
    "prune",
    "search",
    "train_quantized",
]


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
        samples: So many samples of ``calibration_data`` are read; one is what ``example_inputs`` hold.
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
    from edgeopt.deployment.steps import as_program  # noqa: PLC0415
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
