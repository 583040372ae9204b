"""What is done with one model: every contender deploys it, and those that can are judged and timed together."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from _peers_in_one_run.accuracy import judged
from _peers_in_one_run.contenders import BESIDE
from _peers_in_one_run.environments import InstallError, environment
from _peers_in_one_run.latency import compared, timed
from _peers_in_one_run.rows import Row
from _peers_in_one_run.serving import Server, WorkerError, finished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _peers_in_one_run.contenders import Contender

__all__ = ["Limits", "Place", "deployed", "timed_together"]

WORKERS = Path(__file__).parent / "workers"
QUIET = {"OLIVE_DISABLE_TELEMETRY": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclass(frozen=True)
class Limits:
    """What a contender may take: seconds to deploy, and seconds for one answer."""

    deploy_s: float = 1500.0
    answer_s: float = 600.0


@dataclass(frozen=True)
class Place:
    """Where a contender's artefact of a model lies, and how its worker is started.

    Attributes:
        contender: Who.
        case: The folder of the model.
        folder: What the contender made of it.
        environments: Where environments lie.
    """

    contender: Contender
    case: Path
    folder: Path
    environments: Path

    def command(self, task: str, *more: str) -> tuple[list[str], dict[str, str]]:
        """Returns what starts the worker, and its variables."""
        python, variables = environment(self.contender.environment, self.environments)
        program = str(WORKERS / f"{self.contender.worker}.py")
        settings = json.dumps(self.contender.settings)
        words = [task, str(self.case.resolve()), str(self.folder.resolve()), settings, *more]
        return [str(python), program, *words], {**variables, **QUIET}

    def server(self, threads: int, limits: Limits) -> Server:
        """Returns the worker with its artefact loaded."""
        command, variables = self.command("serve", str(threads))
        variables["OMP_NUM_THREADS"] = str(threads)  # read when a library is loaded
        return Server(command, variables, self.folder / f"serve-{threads}.log", limits.answer_s)


def deployed(place: Place, limits: Limits) -> Row:
    """Returns what became of the model at the contender: made anew, loaded, and judged."""
    names = {"model": place.case.name, "peer": place.contender.name}
    stage = "install"
    try:
        command, variables = place.command("deploy")
        shutil.rmtree(place.folder, ignore_errors=True)
        place.folder.mkdir(parents=True)
        stage, start = "deploy", time.monotonic()
        told = finished(command, variables, place.folder / "deploy.log", limits.deploy_s)
        told["deploy_s"] = time.monotonic() - start
        told["size_mb"] = _size(place.folder / "artifact") / 1e6
        stage = "run"
        figures = _judged(place, limits)
    except (InstallError, WorkerError, ValueError) as error:
        return Row(**names, stage=stage, failure=_one_line(error))
    return msgspec.convert({**names, **told, "figures": figures}, Row)


def _judged(place: Place, limits: Limits) -> dict[str, float]:
    measure = json.loads((place.case / "case.json").read_text())["measure"]
    outputs = place.folder.resolve() / "outputs.npy"
    server = place.server(2, limits)
    try:
        server.ask(outputs=str(outputs))
    finally:
        server.close()
    return judged(place.case, measure, np.load(outputs, allow_pickle=False))


def timed_together(
    places: Sequence[Place],
    rows: Sequence[Row],
    threads: Sequence[int],
    rounds: int,
    limits: Limits,
) -> list[Row]:
    """Returns the rows of one model with the latencies of all that have an artefact, from one run."""
    good = {row.peer: row for row in rows if not row.failure}
    beside, timings = "", {name: [] for name in good}
    for count in threads:
        times = _times([p for p in places if p.contender.name in good], count, rounds, limits)
        beside = beside or _fastest(times)
        if beside in times:
            for name, one in compared(times, beside, count).items():
                timings[name].append(one)
    replaced = {
        name: msgspec.structs.replace(row, timings=tuple(timings[name]), beside=beside)
        for name, row in good.items()
    }
    return [replaced.get(row.peer, row) for row in rows]


def _times(
    places: Sequence[Place], threads: int, rounds: int, limits: Limits
) -> dict[str, list[float]]:
    with ExitStack() as stack:
        servers = {}
        for place in places:
            try:
                server = place.server(threads, limits)
            except WorkerError as failure:
                print(f"  {place.contender.name}, {threads} threads: {failure}", flush=True)
                continue
            stack.callback(server.close)
            servers[place.contender.name] = server
        return timed(servers, rounds)


def _fastest(times: dict[str, list[float]]) -> str:
    ours = [name for name in BESIDE if name in times]
    return min(ours, key=lambda name: float(np.median(times[name])), default="")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
