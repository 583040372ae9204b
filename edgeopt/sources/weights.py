"""Where a named model's weights come from: a file, this machine's caches, or chance. Never the network."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.boundary import read_file
from edgeopt.errors import InputError, PluginError
from edgeopt.sources.checkpoint import read_state
from edgeopt.sources.packages import imported
from edgeopt.sources.torch_save import MAX_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import torch

    from edgeopt.sources.spec import Spec

__all__ = ["Place", "find_cached", "hub_file", "load_into", "missing", "seeded", "torch_hub_file"]

_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_SHOWN = 4


class Place(NamedTuple):
    """Where weights may lie.

    Attributes:
        text: How a user finds it.
        path: The file, if it is there.
    """

    text: str
    path: Path | None


def torch_hub_file(url: str) -> Place:
    """Returns where torch.hub keeps what it downloaded from ``url``."""
    import torch  # noqa: PLC0415 (heavy)

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return Place(str(path), path if path.is_file() else None)


def hub_file(repository: str, *names: str) -> list[Place]:
    """Returns where the Hugging Face cache keeps files of ``repository``; asks no network."""
    try:
        hub = imported("huggingface_hub", "hf")
    except PluginError as error:
        return [Place(f"the cache of Hugging Face: {error.what}", None)]
    places = []
    for name in names:
        cached = hub.try_to_load_from_cache(repository, name)
        folder = Path(hub.constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
        path = Path(cached) if isinstance(cached, str) else None
        places.append(Place(f"{folder} ({name})", path))
    return places


def find_cached(
    places: Iterable[Place], spec: Spec, *, fetch: str
) -> tuple[dict[str, torch.Tensor], str]:
    """Returns the weights in the first place that has them, and which that is.

    Args:
        places: Where to look.
        spec: What was asked for.
        fetch: What a user types to have his library download them.

    Raises:
        InputError: None of the places has them; says where was looked, and what to do. Or the file is damaged.
    """
    looked = list(places)
    for place in looked:
        if place.path is not None:
            _check_digest(place.path)
            return read_state(place.path), str(place.path)
    raise missing(spec, [place.text for place in looked], fetch)


def missing(spec: Spec, looked: Iterable[str], fetch: str) -> InputError:
    """Returns the error that weights are not on this machine."""
    places = list(looked)
    seen = "; ".join(places[:_SHOWN]) or "nowhere: none were ever published under this name"
    what = f"its weights are not on this machine, and nothing is downloaded: looked in {seen}"
    ways = [
        f"{spec.source}:{spec.name},weights=FILE",
        f"{spec.source}:{spec.name},weights=random (untrained)",
    ]
    return InputError(what, where=spec.text, hint=" or ".join([*([fetch] if fetch else []), *ways]))


def _check_digest(path: Path) -> None:
    """Checks the beginning of the SHA-256 that torch's hub puts into the names of files."""
    said = _HASH.search(path.name)
    if said and not hashlib.sha256(read_file(path, most=MAX_FILE)).hexdigest().startswith(said[1]):
        what = "it is not what its name says: another SHA-256, as of a download that was broken off"
        raise InputError(what, where=str(path), hint="delete it, and have it downloaded again")


def load_into(model: torch.nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Puts weights into a model; each has to be there, in its shape.

    Raises:
        InputError: Names or shapes differ; says the first of them.
    """
    own = model.state_dict()
    tensors = {name: tensor for name, tensor in state.items() if not _counts(name, own)}
    wrong = [
        f"no {name}"
        for name in own
        if name not in tensors and not name.endswith("num_batches_tracked")
    ]
    wrong += [f"{name} is not the model's" for name in tensors if name not in own]
    wrong += [
        f"{name} is {list(tensor.shape)}, the model's {list(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if wrong:
        what = f"weights of another model: {'; '.join(wrong[:3])} ({len(wrong)} differences)"
        hint = "take the file that was saved from this very architecture; classes=N where its head has other classes"
        raise InputError(what, where=where, hint=hint)
    model.load_state_dict(dict(tensors), strict=False)


def _counts(name: str, own: Mapping[str, Any]) -> bool:
    """Returns whether an entry only counts batches, and the model does not: files are of all versions."""
    return name.endswith("num_batches_tracked") and name not in own


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes chance the same within a block, and as it was after it."""
    import torch  # noqa: PLC0415 (heavy)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
