"""A smaller model: pruned, distilled, trained on integers, or searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.api.by_name import module_of, with_bundle, with_example
from edgeopt.options import (
    BundleOptions,
    Distillation,
    Options,
    ParityChecks,
    PruningOptions,
    QatOptions,
    QuantizationConfig,
    RecipeTraining,
    SearchOptions,
    TrainingOptions,
    options_of,
    refuse_unknown,
    split,
)
from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import torch

    from edgeopt.contracts import Target
    from edgeopt.distillation import Distilled
    from edgeopt.ir import Program
    from edgeopt.progress import Progress
    from edgeopt.pruning import Pruned
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.searching import SearchResult
    from edgeopt.sources import NamedModel

    Model = torch.nn.Module | torch.export.ExportedProgram | NamedModel | str

__all__ = [
    "compress",
    "distill",
    "load_pruned",
    "prune",
    "search",
    "train_quantized",
]


@options_of(RecipeTraining)
def compress(  # noqa: PLR0913 (each is one choice of the user)
    model: Model | Program,
    recipe: str | Path | Recipe | Mapping[str, Any],
    *,
    example_inputs: Any = None,
    data: Iterable[Any] | None = None,
    calibration_data: Iterable[Any] | None = None,
    evaluate: Callable[[Callable[..., Any]], float] | None = None,
    target: str | Path | Target | None = None,
    progress: Progress | None = None,
    **training: Any,
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
        calibration_data: Real inputs, for pruning and quantization; those of ``data`` where None.
        evaluate: ``evaluate(fn) -> float``, higher is better; asked before the first and after
            each step, and after each epoch of training, of which the best is then kept.
        target: The device: widths keep to its vector multiple, weights to its bits.
        progress: Called with (stage, done, total).
        **training: Fields of `edgeopt.RecipeTraining`: ``loss``, ``teacher``, ``work``, ``resume``
            and ``overrides``.

    Raises:
        InputError: The recipe is wrong, a step lacks something (says what to pass), or ``work`` is
            of another recipe or model.
        EdgeoptError: What the functions of the steps raise; the step is named.
    """
    from edgeopt.recipes.compress import compress_model  # noqa: PLC0415 (torch)
    from edgeopt.recipes.find import find_recipe, with_overrides  # noqa: PLC0415
    from edgeopt.recipes.step_inputs import Resources  # noqa: PLC0415
    from edgeopt.registry import find_target  # noqa: PLC0415

    options = RecipeTraining(**training)
    model, example_inputs = with_example(model, example_inputs)
    resources = Resources(
        example_inputs=example_inputs,
        data=data,
        loss=options.loss,
        calibration_data=calibration_data,
        evaluate=evaluate,
        target=None if target is None else find_target(target),
        teacher=options.teacher,
    )
    definition = with_overrides(find_recipe(recipe), options.overrides)
    with progress_to(progress):
        return compress_model(
            model, definition, resources, work=options.work, resume=options.resume
        )


@options_of(SearchOptions)
def search(model: Model | Program, target: str | Path | Target, **options: Any) -> SearchResult:
    """Returns the best compression of ``model`` under a budget, and every trial that led there.

    Each trial is compiled, put through the parity gate, scored by ``evaluate`` and timed on the
    device. Needs Optuna, the extra ``search``.

    Args:
        model: A module in eval mode, an ExportedProgram, or a Program; to prune it, a module.
        target: As for `deploy`.
        **options: Fields of `edgeopt.options.SearchOptions`: data and score (``calibration_data``,
            ``evaluate``), the budget (``max_drop``, ``max_latency_ms``, ``max_size_mb``, on a
            microcontroller ``max_flash_kb`` and ``max_ram_kb``, ``prefer``), what is tried (``backends``, ``precisions``, ``pruning``, ``quantization``)
            and how long (``trials``, ``minutes``, ``study``). Without ``evaluate`` the score is the
            share of inputs that name the same class as the float model.

    Raises:
        InputError: An option, the model, the data or the study cannot be used.
        TargetError: There is no such target.
        PluginError: Optuna or every backend is missing; says what to type.
        UnsupportedError: No backend runs the model.
        BudgetError: Nothing that was tried keeps to the budget; says the nearest, and carries the
            result.
        DeviceError: The device cannot be reached, or fails again and again.
    """
    from edgeopt.searching.run import run_search  # noqa: PLC0415 (torch)

    groups: dict[str, type[Options]] = {"checks": ParityChecks, "quantization": QuantizationConfig}
    refuse_unknown(options, SearchOptions.__struct_fields__, "search", groups)
    model, example, bundle = with_bundle(model, options.get("example_inputs"), None)
    request = SearchOptions(**{**options, "example_inputs": example})
    return run_search(model, target, request, BundleOptions.from_dict(bundle or {}))


@options_of(PruningOptions)
def prune(
    model: torch.nn.Module | NamedModel | str,
    example_inputs: Any = None,
    *,
    calibration_data: Iterable[Any] | None = None,
    target: str | Path | Target | None = None,
    finetune: Callable[[torch.nn.Module, int], Any] | None = None,
    loss: Callable[[torch.nn.Module, Any], Any] | None = None,
    **options: Any,
) -> Pruned:
    """Returns a smaller copy of the model: whole channels, heads and neurons are gone.

    Args:
        model: A module, which is not changed; or a name.
        example_inputs: A tensor, a tuple, or a dict by argument name; None where the model is named.
        calibration_data: Real inputs, for ``activation``, ``taylor`` and ``sensitivity``.
        target: The device; widths keep to its vector multiple.
        finetune: ``finetune(model, step)``, called after each step; step 1 is the first.
        loss: For ``taylor``: ``loss(model, item)`` of one item of ``calibration_data``.
        **options: Fields of `edgeopt.options.PruningOptions`: one goal (``ratio``, ``macs``,
            ``parameters``, ``size_bytes``, ``latency_ms``, ``max_flash_kb`` or ``max_ram_kb``), and how
            units are chosen (``importance``, ``scope``, ``keep``, ``steps`` …).

    Raises:
        ConfigError: An option is unknown or wrong, or there is not one goal.
        InputError: No layer can be pruned, or a budget cannot be met.
        CalibrationError: Data is needed and missing, does not fit, or is not finite.
        TargetError: There is no such target.
        PluginError: Torch-Pruning is not installed.
    """
    from edgeopt.pruning import prune as run  # noqa: PLC0415 (torch)

    return run(
        *with_example(model, example_inputs),
        PruningOptions(**options),
        calibration_data=calibration_data,
        target=target,
        finetune=finetune,
        loss=loss,
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


@options_of(Distillation, TrainingOptions)
def distill(
    student: torch.nn.Module | NamedModel | str,
    teacher: torch.nn.Module | NamedModel | str,
    data: Iterable[Any],
    *,
    task_loss: Callable[[Any, Any], torch.Tensor] | None = None,
    **options: Any,
) -> Distilled:
    """Returns a copy of ``student``, trained on what ``teacher`` says, and the curves.

    Args:
        student: What learns; it is not changed.
        teacher: What is learned from; it is run in eval mode and not changed.
        data: Batches, a DataLoader or a list: a tensor, ``(inputs, target)``, or a dict by
            argument name (with ``labels``, where there are any).
        task_loss: ``task_loss(output, target)``; None takes the loss that a Hugging Face model
            returns, or none.
        **options: Fields of `edgeopt.options.Distillation` (``epochs``, ``temperature``,
            ``logits_weight``, ``features``, ``attention`` …) and of `edgeopt.TrainingOptions`
            (``learning_rate``, ``evaluate``, ``patience``, ``checkpoint``, ``resume``, ``seed`` …).

    Raises:
        InputError: Student and teacher do not fit together, or an option or the data is wrong.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    from edgeopt.distillation import distill_student  # noqa: PLC0415 (torch)

    taught, training = split(options, Distillation, TrainingOptions)
    pair = module_of(student), module_of(teacher)
    return distill_student(*pair, data, taught, training, task_loss)


@options_of(QatOptions, TrainingOptions)
def train_quantized(
    model: Model | Program,
    data: Iterable[Any],
    loss: Callable[[Any, Any], torch.Tensor],
    *,
    example_inputs: Any = None,
    calibration_data: Iterable[Any] | None = None,
    **options: Any,
) -> Program:
    """Returns a quantized Program whose weights were trained on the grid that it runs on.

    Args:
        model: A float module, ExportedProgram or Program, which is quantized first (PTQ), or a
            quantized Program, from whose table training starts.
        data: Batches, a DataLoader or a list: ``(inputs, target)`` or a dict by argument name;
            batches may hold any multiple of the batch that the program was captured with.
        loss: ``loss(output, target)``; the whole dict where it has no ``labels``.
        example_inputs: As for `capture`.
        calibration_data: What PTQ calibrates on; ``data`` where it is None.
        **options: Fields of `edgeopt.options.QatOptions` (``epochs``, ``quantization``, for example
            ``{"weight_bits": 4}``, ``ranges``, ``freeze_after``) and of `edgeopt.TrainingOptions`, as
            for `distill`. ``evaluate`` is given a function that is called as the model is and
            computes what the Program computes; also the start is scored, and comes back where no
            epoch was better.

    Raises:
        InputError: The model, an option or the data cannot be used.
        CalibrationError: The model must be quantized first and the data does not fit.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    from edgeopt.deployment.steps import as_program  # noqa: PLC0415 (torch)
    from edgeopt.qat import train_program  # noqa: PLC0415

    integer, training = split(options, QatOptions, TrainingOptions)
    program = as_program(*with_example(model, example_inputs))
    return train_program(program, data, loss, integer, training, calibration_data)
