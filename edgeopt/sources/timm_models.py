"""``timm:NAME``: the classifiers and backbones of PyTorch Image Models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.options import Classification, Embedding, Preprocess
from edgeopt.sources.checkpoint import read_state
from edgeopt.sources.named_model import NamedModel
from edgeopt.sources.packages import imported, unknown_model
from edgeopt.sources.pictures import example_picture, names_of
from edgeopt.sources.random_weights import settle
from edgeopt.sources.weights import Place, find_cached, hub_file, load_into, seeded, torch_hub_file

if TYPE_CHECKING:
    import torch

    from edgeopt.sources.spec import Spec

__all__ = ["TimmModels"]

_CONFIG = "config.json"
_FILES = ("model.safetensors", "pytorch_model.bin")
_MAX_CONFIG = 1 << 20
_OWN = {
    "model_name",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
}
"""Arguments of `timm.create_model` itself: a foreign config may not set them."""


class TimmModels:
    """The source ``timm``."""

    name = "timm"

    def names(self) -> list[str]:
        """Returns all architectures, and those with a tag of weights."""
        timm = imported("timm", "timm")
        return [*timm.list_models(), *timm.list_pretrained()]

    def options(self) -> tuple[str, ...]:
        """Returns which options make a difference."""
        return ("weights", "size", "classes", "seed")

    def load(self, spec: Spec) -> NamedModel:
        """Returns the model, with the preprocessing of its ``pretrained_cfg``."""
        timm = imported("timm", "timm")
        folder = Path(spec.name)
        if folder.is_dir():
            model, weights = _of_folder(timm, spec, folder)
        else:
            model, weights = self._of_name(timm, spec)
        return _described(timm, spec, model.eval(), weights)

    def _of_name(self, timm: Any, spec: Spec) -> tuple[torch.nn.Module, str]:
        name, _, tag = spec.name.partition(".")
        config = _config(timm, spec.name) if timm.is_model(name) else None
        if not timm.is_model(name) or (tag and config is None):
            raise unknown_model(
                spec.text, spec.name, self.names(), "timm", str(Path(spec.name).absolute())
            )
        arguments = _arguments(spec, config.to_dict() if config else {})
        if spec.options.weights == "pretrained":
            fetch = f"""python -c "import timm; timm.create_model('{spec.name}', pretrained=True)" fetches them"""
            state, where = find_cached(_places(config), spec, fetch=fetch)
            overlay = {"state_dict": state, "custom_load": False}
            try:
                return timm.create_model(
                    spec.name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
                ), where
            except RuntimeError as error:  # of another version of the architecture
                raise InputError(f"weights of another model: {error}"[:400], where=where) from error
        with seeded(spec.options.seed):
            model = timm.create_model(spec.name, **arguments)
        return _filled(model, spec)


def _config(timm: Any, name: str) -> Any:
    """Returns what is known of the weights of a name; None where there are none of that tag."""
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:  # of a tag that it does not know
        return None


def _of_folder(timm: Any, spec: Spec, folder: Path) -> tuple[torch.nn.Module, str]:
    """Returns the model that `timm.models.save_for_hf` wrote."""
    path = folder / _CONFIG
    config = decode_json(read_file(path, most=_MAX_CONFIG), dict[str, Any], where=str(path))
    name, arguments = config.get("architecture"), config.get("model_args") or {}
    if not isinstance(name, str) or not timm.is_model(name) or not isinstance(arguments, dict):
        raise InputError("it names no architecture of timm", where=str(path))
    wrong = sorted(set(arguments) & _OWN) or [n for n, v in arguments.items() if not _is_plain(v)]
    if wrong:
        raise InputError(f"model_args: {wrong[0]!r} is not taken from a file", where=str(path))
    own = config.get("pretrained_cfg") or {}
    overlay = {
        key: value
        for key, value in own.items()
        if _is_plain(value) and key not in {"file", "url", "custom_load"}
    }
    if config.get("num_classes") is not None:
        arguments = {"num_classes": config["num_classes"], **arguments}
    with seeded(spec.options.seed):
        model = timm.create_model(
            name, pretrained_cfg_overlay=overlay, **{**arguments, **_arguments(spec, overlay)}
        )
    if spec.options.weights != "pretrained":
        return _filled(model, spec)
    places = [
        Place(str(folder / one), folder / one if (folder / one).is_file() else None)
        for one in _FILES
    ]
    state, where = find_cached(places, spec, fetch="")
    load_into(model, state, where)
    return model, where


def _is_plain(value: Any) -> bool:
    """Returns whether a value is a number, a text or a list of them: what a file may say of a model."""
    if isinstance(value, list):
        return all(isinstance(one, (bool, int, float, str)) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _arguments(spec: Spec, config: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if spec.options.classes is not None:
        arguments["num_classes"] = spec.options.classes
    if spec.options.sides is not None and config.get("fixed_input_size"):
        arguments["img_size"] = spec.options.sides
    return arguments


def _places(config: Any) -> list[Place]:
    """Returns where timm's own downloads lie."""
    places = []
    if config is not None and config.hf_hub_id:
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _FILES
        places += hub_file(config.hf_hub_id, *names)
    if config is not None and config.url:
        places.append(torch_hub_file(config.url))
    return places


def _filled(model: torch.nn.Module, spec: Spec) -> tuple[torch.nn.Module, str]:
    """Returns the model with the weights of a file, or with random ones that are settled."""
    if spec.options.weights == "random":
        config: Any = model.pretrained_cfg
        channels, *sides = config["input_size"]
        settle(model, example_picture(channels, *(spec.options.sides or sides)), spec.options.seed)
        return model, f"random, seed {spec.options.seed}"
    load_into(model, read_state(spec.options.weights), spec.options.weights)
    return model, spec.options.weights


def _described(timm: Any, spec: Spec, model: torch.nn.Module, weights: str) -> NamedModel:
    config = timm.data.resolve_data_config({}, model=model)
    channels, *usual = config["input_size"]
    sides = spec.options.sides or (usual[0], usual[1])
    classes = int(getattr(model, "num_classes", 0))
    return NamedModel(
        name=spec.text,
        model=model,
        example_inputs=example_picture(channels, *sides),
        task="classification" if classes else "embedding",
        preprocess=_preprocess(config, sides),
        postprocess=Classification() if classes else Embedding(),
        labels=_labels(timm, model, classes),
        weights=weights,
    )


def _preprocess(config: dict[str, Any], sides: tuple[int, int]) -> Preprocess | None:
    """Returns what `timm.data.create_transform` does when it evaluates; None where that has no counterpart."""
    channels = config["input_size"][0]
    if channels not in {1, 3}:
        return None
    usual = "bilinear" if config["interpolation"] == "random" else config["interpolation"]
    try:
        return Preprocess.of({**config, "input_size": (channels, *sides), "interpolation": usual})
    except InputError:  # it fits pictures into rectangles: nothing is guessed
        return None


def _labels(timm: Any, model: torch.nn.Module, classes: int) -> tuple[str, ...]:
    """Returns the names that a checkpoint brings, or those of ImageNet where the classes are as many."""
    config: Any = model.pretrained_cfg
    own, words = config.get("label_names"), config.get("label_descriptions") or {}
    if own:
        return names_of([words.get(name, name) for name in own], classes)
    subset = timm.data.infer_imagenet_subset(model)
    if subset is None:
        return ()
    return names_of(timm.data.ImageNetInfo(subset).label_descriptions(), classes)
