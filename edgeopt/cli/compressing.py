"""`edgeopt compress` and `edgeopt recipes`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.cli.sources import Source
    from edgeopt.deployment.with_recipe import Cooking
    from edgeopt.recipes import Compressed, Recipe

__all__ = ["compress", "cooking_of", "recipes", "with_source"]


def compress(
    *,
    model: opt.Model,
    recipe: Annotated[
        str, typer.Option("--recipe", help="A name of `edgeopt recipes`, or a .toml file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Program archive to write [default: ./RECIPE.zip]."),
    ] = None,
    calibration_data: opt.Data = None,
    evaluate: opt.Evaluate = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The device that widths and bits suit.")
    ] = None,
    train_data: opt.TrainData = None,
    loss: opt.Loss = None,
    teacher: opt.Teacher = None,
    work: opt.Work = None,
    override: opt.Overrides = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Begin anew in --work, whatever is there.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that lies there.")
    ] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Prune, distil and quantize a model by a recipe; write the Program, which deploy takes."""
    from edgeopt.api import compress as run  # noqa: PLC0415
    from edgeopt.cli.show import print_columns, print_json, progress_bars  # noqa: PLC0415
    from edgeopt.cli.sources import make_source  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    cooking = cooking_of(recipe, train_data, loss, teacher, work, override)
    if cooking is None:
        raise InputError("no recipe given", where="--recipe", hint="see `edgeopt recipes`")
    chosen = cooking.chosen()
    place = output or Path(f"{chosen.name or 'compressed'}.zip")
    if place.exists() and not overwrite:
        hint = "choose another name, or pass --overwrite"
        raise InputError("something lies there already", where=str(place), hint=hint)
    source = make_source(model, calibration_data, evaluate)
    cooking = with_source(cooking, source)
    with progress_bars(quiet=quiet) as progress:
        made = run(
            source.model,
            chosen,
            example_inputs=source.example_inputs,
            data=cooking.train_data,
            loss=cooking.loss,
            calibration_data=source.calibration_data,
            evaluate=source.evaluate,
            target=target,
            teacher=cooking.teacher,
            work=work,
            resume=not afresh,
            progress=progress,
        )
    made.save(place)
    if json:
        print_json({**made.to_dict(), "program": str(place)})
        return
    print_columns(*_table(made))
    typer.echo(f"{made.summary}; {made.program.precision} program in {place}")


def recipes(
    *,
    name: Annotated[
        str | None, typer.Argument(help="Print one: a name, or a .toml file, which is checked.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """List the built-in recipes, or print one to begin your own with."""
    from edgeopt.cli.show import print_columns, print_json  # noqa: PLC0415
    from edgeopt.recipes import builtin_recipes, builtin_text, find_recipe  # noqa: PLC0415

    if name is not None:
        found = find_recipe(name)
        if json:
            print_json(found.to_dict())
            return
        is_file = name.endswith(".toml") or "/" in name
        typer.echo(found.to_toml() if is_file else builtin_text(name), nl=False)
        return
    every = builtin_recipes()
    if json:
        print_json([recipe.to_dict() for recipe in every.values()])
        return
    rows = [(one.name, " -> ".join(_names(one)), one.description) for one in every.values()]
    print_columns(("recipe", "steps", "what it does"), rows)


def cooking_of(
    recipe: str | None,
    train_data: str | None,
    loss: str | None,
    teacher: str | None,
    work: Path | None,
    override: list[str] | None,
) -> Cooking | None:
    """Returns the recipe with what its steps need, checked; None where no recipe was given.

    Raises:
        InputError: Something is wrong, or is given without a recipe.
    """
    from edgeopt.cli.sources import load_data, load_function, load_model  # noqa: PLC0415
    from edgeopt.deployment.with_recipe import Cooking  # noqa: PLC0415 (torch)
    from edgeopt.errors import InputError  # noqa: PLC0415

    if recipe is None:
        given = {"train-data": train_data, "loss": loss, "teacher": teacher, "work": work}
        for name, value in {**given, "override": override}.items():
            if value:
                hint = "pass --recipe too, for example --recipe cnn"
                raise InputError("is for the steps of a recipe", where=f"--{name}", hint=hint)
        return None
    cooking = Cooking(
        recipe=recipe,
        train_data=None if train_data is None else load_data(train_data),
        loss=None if loss is None else load_function(loss),
        teacher=None if teacher is None else load_model(teacher).model,
        work=work,
        overrides=opt.parse_settings(override, "--override"),
    )
    cooking.chosen()
    return cooking


def with_source(cooking: Cooking, source: Source) -> Cooking:
    """Returns ``cooking`` with what came with the model, where the options gave nothing."""
    names = ("train_data", "loss", "teacher")
    return replace(
        cooking,
        **{n: getattr(source, n) for n in names if getattr(cooking, n) is None},
    )


def _table(made: Compressed) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    from edgeopt.recipes.result import HEADER  # noqa: PLC0415

    return HEADER, [tuple(row) for row in made.rows()]


def _names(recipe: Recipe) -> list[str]:
    from edgeopt.recipes.steps import step_name  # noqa: PLC0415

    return [step_name(step) for step in recipe.steps]
