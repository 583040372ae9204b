"""The command line of a bundle's ``run.py``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from .bundle import INSTALL, MISSING, OK, USAGE, Stop, check_file, load_manifest, runs_from, shown
from .programs import face, program_view, program_views

__all__ = ["main"]


def main(argv: list[str] | None = None, *, root: str, doc: str = "") -> int:
    """Returns the exit status.

    Args:
        argv: The command line's words; None takes the program's own.
        root: Folder of the bundle.
        doc: What ``--help`` prints: a first line, and examples.
    """
    args = _parse(argv, doc)
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that knows ASCII only gets escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _act(args, root)
        sys.stdout.flush()
    except Stop as stop:
        print(f"run.py: {shown(stop.what)}", file=sys.stderr)
        if stop.hint:
            print(f"  -> {shown(stop.hint)}", file=sys.stderr)
        return stop.code
    except BrokenPipeError:  # the reader went away, as in `run.py --info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _act(args: argparse.Namespace, root: str) -> int:
    manifest = load_manifest(root)
    if args.info:
        if args.json:
            _emit(manifest, args.json)
        else:
            print(_info(manifest))
        return OK
    view = program_view(manifest, args.program) if args.program else manifest
    measures = args.benchmark or args.profile or args.against or args.throughput
    if args.method and (measures or args.program):
        hint = "--program N, as --info counts"
        raise Stop(USAGE, "--method goes neither with --program nor with a measurement", hint)
    if not (
        args.verify or measures or args.output or args.top or _tells(args, face(view, args.method))
    ):
        hint = "--output FILE, --top K, --benchmark, --profile, --verify or --info"
        raise Stop(USAGE, "nothing to do", hint)
    _need_numpy()
    if not (args.no_check or args.verify):  # --verify checks more
        for name in filter(runs_from, sorted(manifest["files"])):
            check_file(root, manifest, name)
    if args.verify:
        from .checks import verify

        return verify(root, manifest, args.threads)
    return _measure(args, root, view) if measures else _predict(args, root, view)


def _tells(args: argparse.Namespace, manifest: dict[str, Any]) -> bool:
    from .telling import check_telling, tells

    if not (args.benchmark or args.profile or args.against or args.throughput):
        check_telling(args, manifest)
    return tells(args, manifest)


def _need_numpy() -> None:
    try:
        import numpy as np  # noqa: F401
    except ImportError as error:
        raise Stop(MISSING, f"numpy is not installed: {error}", INSTALL) from error


def _measure(args: argparse.Namespace, root: str, manifest: dict[str, Any]) -> int:
    if args.profile:
        from .operators import profile

        result = profile(root, manifest, args)
    elif args.throughput:
        from .throughput import throughput

        result = throughput(root, manifest, args)
    else:
        from .timing import benchmark, compare

        result = (compare if args.against else benchmark)(root, manifest, args)
    _emit(result, args.json)
    if args.json and args.benchmark:
        print(_middle(result))
    return OK


def _middle(result: dict[str, Any]) -> str:
    counts = sorted(result.get("instructions", []))
    if counts:
        return f"median {counts[len(counts) // 2]} instructions of {len(counts)} runs"
    times = sorted(result["samples_ns"])
    return f"median {times[len(times) // 2] / 1e6:.3f} ms of {len(times)} runs"


def _predict(args: argparse.Namespace, root: str, manifest: dict[str, Any]) -> int:
    from .arrays import check_output, read_inputs, write_output
    from .calling import call_method
    from .labels import print_top, read_labels
    from .outcome import outcome
    from .prepare import prepare

    program = face(manifest, args.method)
    if args.output:
        check_output(args.output, program)
    telling = _tells(args, program)
    labels = read_labels(args.labels, root, manifest) if args.top or telling else []
    prepared = prepare(args, root, program)
    each = args.each or prepared.each
    arrays = read_inputs(args.input, prepared.arrays, program)
    outputs = call_method(root, manifest, program, arrays, args, each=each)
    if args.output:
        write_output(args.output, outputs, program)
    if telling:
        answers = outcome(outputs, arrays, prepared, program, args, labels)
        if args.json:
            _emit(answers, args.json)
    elif args.top:
        print_top(outputs[0], args.top, labels)
    return OK


def _emit(value: dict[str, Any], path: str | None) -> None:
    """Writes JSON to a file, or to standard output where none or ``-`` is named."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    if path in (None, "-"):
        sys.stdout.write(text)
        return
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise Stop(USAGE, f"{path}: cannot be written: {error}") from error


def _info(manifest: dict[str, Any]) -> str:
    target, views = manifest["target"], program_views(manifest)
    several = len(views) > 1
    rows = [
        ("name", manifest["name"]),
        ("target", f"{target['name']} ({target['title']})"),
        ("backend", f"{manifest['backend']}, {manifest['precision']}"),
        *[
            row
            for place, view in enumerate(views, 1)
            for row in _program(view, place if several else 0)
        ],
        *[
            ("state", f"{name} {info['dtype']}{info['shape']}")
            for name, info in manifest["states"].items()
        ],
        ("requires", ", ".join(manifest["requirements"]) or "numpy"),
        ("python", ", ".join(manifest["pythons"]) or "3.9 or later"),
        ("size", f"{manifest['size_bytes']} bytes"),
        ("digest", manifest["digest"]),
    ]
    return "\n".join(f"{key:9}{shown(value)}" for key, value in rows)


def _program(view: dict[str, Any], number: int) -> list[tuple[str, str]]:
    """Returns rows of a program: its number where there are several, what goes in and comes out."""
    title = [("program", f"{number}: {view['method']}")] if number else []
    rows = []
    for kind, side, states in (("input", "inputs", "reads"), ("output", "outputs", "writes")):
        for spec in view["signature"][side]:
            state = view[states].get(spec["name"])
            rows.append((kind, _tensor(spec) + (f" (state {state})" if state else "")))
    return [*title, *rows]


def _tensor(spec: dict[str, Any]) -> str:
    return f"{spec['name']} {spec['dtype']}{spec['shape']}"


def _parse(argv: list[str] | None, doc: str) -> argparse.Namespace:
    first, _, rest = doc.partition("\n")
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--input", action="append", default=[], metavar="[NAME=]FILE", help=".npy or .npz")
    add("--image", metavar="FILE", help="a picture (needs Pillow), prepared as the bundle says")
    add("--text", action="append", metavar="TEXT", help="a text (needs tokenizers), likewise")
    add("--audio", metavar="FILE", help="a .wav file, likewise")
    add("--draw", metavar="FILE", help="draw what was found on the picture: .png or .jpg")
    add("--cast", action="store_true", help="convert inputs of another dtype of the same kind")
    add("--each", action="store_true", help="axis 0 of every input counts samples; run each")
    add("--method", default="", metavar="NAME", help="which method of the model (the first)")
    add(
        "--program",
        type=_count,
        metavar="N",
        help="run one program alone, as --info counts, its state passed in",
    )
    add("--output", metavar="FILE", help=".npy, or .npz with the outputs' names")
    add("--top", type=_count, metavar="K", help="print the K highest scores of the first output")
    add("--labels", metavar="FILE", help="the classes' names, one a line, for --top")
    add("--threads", type=_natural, default=0, metavar="N", help="0: as the runtime likes")
    add("--no-check", action="store_true", help="do not check the files' digests before a run")
    add("--benchmark", action="store_true", help="measure; JSON on standard output")
    add("--profile", action="store_true", help="measure each operator; JSON likewise")
    add("--throughput", action="store_true", help="measure several runs at once; JSON likewise")
    add("--streams", type=_natural, default=0, metavar="N", help="how many at once (0: tries)")
    add("--alone", action="store_true", help="of --throughput: the runtime, on inputs filled once")
    add("--against", metavar="BUNDLE", help="measure in turn with another bundle; JSON likewise")
    add("--runs", type=_count, default=100, metavar="N", help="runs to measure (100)")
    add("--warmup", type=_natural, metavar="N", help="runs before (until the times are stable)")
    add("--max-seconds", type=float, default=120.0, metavar="S", help="stop measuring then (120)")
    add("--min-seconds", type=float, default=0.0, metavar="S", help="go on measuring so long (0)")
    add("--cores", metavar="LIST", help="run on these cores only, for example 0-3")
    add(
        "--json",
        metavar="FILE",
        help="write as JSON there: a measurement, --info, or what was found (-: standard output)",
    )
    add("--verify", action="store_true", help="check every file and every golden sample")
    add("--info", action="store_true", help="say what this bundle is")
    return parser.parse_args(argv)


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: zero or more expected")
    return value


def _count(text: str) -> int:
    value = _natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: one or more expected")
    return value
