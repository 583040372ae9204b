"""Says and draws what outputs mean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .answers import Answer, answer
from .bundle import WRONG, Stop
from .tell import lines, plain

if TYPE_CHECKING:
    import argparse

    from .prepare import Prepared

__all__ = ["outcome"]


def outcome(
    outputs: list[Any],
    arrays: list[Any],
    prepared: Prepared,
    manifest: dict[str, Any],
    args: argparse.Namespace,
    labels: list[str],
) -> dict[str, Any]:
    """Prints the answers, and draws them where asked; returns them for JSON.

    Args:
        outputs: In the signature's order; with one axis more where there were several runs.
        arrays: The inputs, likewise.
        prepared: How they were prepared.
        manifest: The bundle's manifest.
        args: The command line.
        labels: Names of the classes, or none.
    """
    runs = _answers(outputs, arrays, prepared, manifest, args, labels)
    if args.json != "-":
        for number, one in enumerate(runs):
            print("\n".join([f"run {number}"] * (len(runs) > 1) + lines(one)))
    if args.draw:
        from .draw import draw, save_drawing

        skeleton = manifest["postprocess"].get("skeleton")
        save_drawing(args.draw, draw(prepared.picture, runs[0], skeleton))
        print(f"drawn: {args.draw}", file=sys.stderr)
    answers = [plain(one) for one in runs] if args.json else []
    return answers[0] if len(answers) == 1 else {"runs": answers}


def _answers(
    outputs: list[Any],
    arrays: list[Any],
    prepared: Prepared,
    manifest: dict[str, Any],
    args: argparse.Namespace,
    labels: list[str],
) -> list[Answer]:
    names = [spec["name"] for spec in manifest["signature"]["inputs"]]
    mask = dict(zip(names, arrays)).get(prepared.mask)
    several = args.each or prepared.each
    try:
        return [
            answer(
                [one[n] for one in outputs] if several else outputs,
                manifest,
                labels,
                placement=prepared.placement,
                mask=mask[n] if several and mask is not None else mask,
                top=args.top,
            )
            for n in range(len(outputs[0]) if several else 1)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"manifest.json: postprocess cannot be followed: {error!r}"
        raise Stop(WRONG, what, "copy the bundle again") from error
