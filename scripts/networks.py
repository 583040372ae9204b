"""Random small networks through edgeopt.deploy, against torch: `make networks COUNT=10000`.

Each network is made of its seed. Results are kept in ``out/networks/``, one line of JSON a seed, and a
later call goes on after them. At the end: a table by backend and precision, and every fault, made as
small as it can be and still fail, as a torch module that anybody can run. Ends with status 1 at a fault.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.testing.networks import Bench, generate, shrink
from edgeopt.testing.networks.isolation import Examined, examine_isolated

KINDS = ("right", "warned", "refused", "not the same", "wrong", "not finite", "raw error")


def main() -> int:
    """Returns the exit status."""
    options = _options()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    path = options.out / "results.jsonl"
    results = _read(path)
    bench = Bench(options.backends, options.precisions, dict(options.every))
    seeds = range(options.first, options.first + options.count)
    waiting = [seed for seed in seeds if seed not in results]
    end = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for one in examine_isolated(bench, waiting, options.together):
            results[one.seed] = one
            file.write(msgspec.json.encode(one) + b"\n")
            file.flush()
            _show(one)
            if time.monotonic() > end:
                break
    chosen = [results[seed] for seed in seeds if seed in results]
    _print_table(chosen)
    print(f"{sum(o.seconds for one in chosen for o in one.outcomes):.0f} s of work on them")
    faulty = [one for one in chosen if any(o.is_fault for o in one.outcomes)]
    for one in faulty[: options.shrink]:
        _print_smallest(one)
    return 1 if faulty else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many networks")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these")
    parser.add_argument(
        "--backends", nargs="+", default=["reference", "tflite", "openvino", "tvm"], metavar="NAME"
    )
    parser.add_argument(
        "--precisions", nargs="+", default=[str(p) for p in Precision], metavar="NAME"
    )
    parser.add_argument(
        "--every", nargs="+", type=_share, default=[], metavar="BACKEND=K", help="one in K networks"
    )
    parser.add_argument(
        "--together", type=int, default=8, help="how many networks are put into one program"
    )
    parser.add_argument("--shrink", type=int, default=5, help="how many faults are made small")
    parser.add_argument("--out", type=Path, default=Path("out/networks"))
    return parser.parse_args()


def _share(text: str) -> tuple[str, int]:
    backend, _, number = text.partition("=")
    return backend, int(number)


def _read(path: Path) -> dict[int, Examined]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    every = [msgspec.json.decode(line, type=Examined) for line in lines]
    return {one.seed: one for one in every}


def _show(one: Examined) -> None:
    for outcome in one.outcomes:
        if outcome.is_fault or outcome.kind == "not the same":
            where = f"{outcome.backend} {outcome.precision}"
            print(f"{one.seed}: {outcome.kind}, {where}: {outcome.what[:200]}", flush=True)


def _print_table(results: list[Examined]) -> None:
    counts = Counter(
        (f"{o.backend} {o.precision}".strip(), o.kind) for one in results for o in one.outcomes
    )
    print(f"\n{len(results)} networks")
    print("| where | " + " | ".join(KINDS) + " |")
    print("|---|" + "--:|" * len(KINDS))
    for where in sorted({key[0] for key in counts}):
        print(f"| {where} | " + " | ".join(str(counts[where, kind]) for kind in KINDS) + " |")
    ends = [(one.seed, o.kind) for one in results for o in one.outcomes if o.backend == "process"]
    print(f"crashes and hangs: {ends or 'none'}")


def _print_smallest(one: Examined) -> None:
    fault = next(o for o in one.outcomes if o.is_fault)
    network = generate(one.seed)
    if fault.backend != "process":
        alone = ([], []) if fault.backend == "capture" else ([fault.backend], [fault.precision])
        bench = Bench(*alone)
        network = shrink(
            network, lambda n: any(o.kind == fault.kind for o in bench.examine(n, one.seed))
        )
    print(f"\n# seed {one.seed}: {fault.kind}, {fault.backend} {fault.precision}: {fault.what}")
    print(network.source)


if __name__ == "__main__":
    sys.exit(main())
