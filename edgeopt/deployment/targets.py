"""One model to several targets: one deployment each, and one that fails loses no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.data.batches import rereadable
from edgeopt.errors import EdgeoptError, InputError
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgeopt.contracts import Target
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment

__all__ = ["Deployments", "deploy_each", "several"]


class Deployments(dict[str, "Deployment"]):
    """The deployments, by the names of their targets; prints one after the other."""

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.values()))


def several(target: Any) -> tuple[Any, ...] | None:
    """Returns the targets of a list; None where one is given."""
    return tuple(target) if isinstance(target, (list, tuple, set, frozenset)) else None


def deploy_each(
    targets: Sequence[str | Path | Target],
    request: Request,
    run: Callable[[Target, Request], Deployment],
) -> Deployments:
    """Returns the deployment for each target, in their order; each writes into a folder of its name.

    Args:
        targets: Names, paths or targets.
        request: What is asked for; its ``output`` is the folder around theirs.
        run: Deploys to one.

    Raises:
        InputError: There is none, or one is named twice.
        EdgeoptError: One has no such name; or its deployment failed: the others were finished before.
    """
    devices = [find_target(one) for one in targets]
    names = [one.name for one in devices]
    twice = next((name for name in names if names.count(name) > 1), None)
    if not names or twice is not None:
        what = "no target is named" if twice is None else f'"{twice}" is named twice'
        raise InputError(what, where="target")
    if request.calibration_data is not None:
        data = rereadable(request.calibration_data, "calibration_data")
        request = request.replace(calibration_data=data)
    requests = [_for(one.name, request) for one in devices]
    for one in requests:
        one.check()
    return _run_all(zip(devices, requests, strict=True), run)


def _for(name: str, request: Request) -> Request:
    if request.output is None:
        return request
    place = Path(request.output)
    own = place.with_name(f"{place.stem}-{name}.zip") if place.suffix == ".zip" else place / name
    return request.replace(output=own)


def _run_all(
    jobs: Iterable[tuple[Target, Request]], run: Callable[[Target, Request], Deployment]
) -> Deployments:
    done, failed = Deployments(), None
    for target, request in jobs:
        try:
            done[target.name] = run(target, request)
        except EdgeoptError as error:
            error.add_note(f"deploying to {target.name}")
            failed = error if failed is None else failed
    if failed is not None:
        for name, one in done.items():
            place = "" if one.bundle is None else f": {one.bundle.path}"
            failed.add_note(f"{name} was deployed{place}")
        raise failed
    return done
