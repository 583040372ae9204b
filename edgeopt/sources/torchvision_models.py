"""``torchvision:NAME``: classifiers, segmentation models and detectors of one stage of torchvision."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.options import Classification, Preprocess, Segmentation
from edgeopt.sources.checkpoint import read_state
from edgeopt.sources.named_model import NamedModel
from edgeopt.sources.packages import imported, unknown_model
from edgeopt.sources.pictures import example_picture, names_of
from edgeopt.sources.random_weights import settle
from edgeopt.sources.torchvision_detectors import (
    Detector,
    classes_of,
    detection_of,
    is_one_stage,
    picture_of,
    sides_of,
)
from edgeopt.sources.weights import find_cached, load_into, seeded, torch_hub_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from edgeopt.sources.spec import Spec

__all__ = ["TorchvisionModels"]

_ELSEWHERE = {
    "torchvision.models.detection": "it selects boxes between two networks, as many as it finds: deploy a detector of one "
    "stage (ssd…, retinanet…, fcos…), or its backbone and region proposals as a module of your own",
    "torchvision.models.video": "films: pass package.module:function, with example_inputs",
    "torchvision.models.optical_flow": "two pictures: pass package.module:function, with example_inputs",
    "torchvision.models.quantization": "it is quantized for torch's own kernels: take the float model of the same name",
}
_SEGMENTATION = "torchvision.models.segmentation"
_DETECTION = "torchvision.models.detection"


class TorchvisionModels:
    """The source ``torchvision``."""

    name = "torchvision"

    def names(self) -> list[str]:
        """Returns the models that take one picture."""
        models = imported("torchvision", "torchvision").models
        return [name for name in models.list_models() if not _is_elsewhere(models, name)]

    def options(self) -> tuple[str, ...]:
        """Returns which options make a difference."""
        return ("weights", "size", "classes", "seed")

    def load(self, spec: Spec) -> NamedModel:
        """Returns the model, with the preprocessing and the classes of its weights."""
        models = imported("torchvision", "torchvision").models
        if spec.name not in models.list_models():
            raise unknown_model(spec.text, spec.name, self.names(), "torchvision")
        family = _family(models, spec.name)
        if _is_elsewhere(models, spec.name):
            what = f"{spec.name} is of {family}, which is not taken by name"
            raise InputError(what, where=spec.text, hint=_ELSEWHERE[family])
        chosen = _published(models, spec)
        if family == _DETECTION:
            return _detector(models, spec, chosen)
        transform = chosen.transforms() if chosen is not None else None
        sides = spec.options.sides or _sides(transform)
        model, weights = _built(models, spec, chosen)
        if spec.options.weights == "random":
            settle(model, example_picture(3, *sides), spec.options.seed)
        segments = family == _SEGMENTATION
        return NamedModel(
            name=spec.text,
            model=model.eval(),
            example_inputs=example_picture(3, *sides),
            task="segmentation" if segments else "classification",
            preprocess=None if transform is None else _preprocess(transform, sides),
            postprocess=Segmentation() if segments else Classification(),
            labels=()
            if chosen is None
            else names_of(chosen.meta.get("categories"), spec.options.classes),
            weights=weights,
        )


def _is_elsewhere(models: Any, name: str) -> bool:
    return _family(models, name) in _ELSEWHERE and not is_one_stage(name)


def _detector(models: Any, spec: Spec, chosen: Any) -> NamedModel:
    own, weights = _built(models, spec, chosen)
    sides = spec.options.sides or sides_of(own)
    model, post = Detector(own, sides).eval(), detection_of(own)
    if spec.options.weights == "random":
        settle(model, example_picture(3, *sides), spec.options.seed)
    labels = () if chosen is None else names_of(chosen.meta.get("categories"), classes_of(own))
    return NamedModel(
        name=spec.text,
        model=model,
        example_inputs=example_picture(3, *sides),
        task="detection",
        preprocess=picture_of(own, sides),
        postprocess=post,
        labels=labels[1:] if post.background == "first" else labels,
        weights=weights,
    )


def _family(models: Any, name: str) -> str:
    """Returns the module of a model, ``torchvision.models.detection`` for example: the package, not the file."""
    module: str = models.get_model_builder(name).__module__
    return next(
        (one for one in (*_ELSEWHERE, _SEGMENTATION) if module.startswith(one)),
        "torchvision.models",
    )


def _published(models: Any, spec: Spec) -> Any:
    """Returns the weights that were published and are meant: those asked for by their name, else the usual ones."""
    members = models.get_model_weights(spec.name).__members__
    if spec.options.weights in members:
        return members[spec.options.weights]
    return members.get("DEFAULT")


def _built(models: Any, spec: Spec, chosen: Any) -> tuple[Any, str]:
    weights = spec.options.weights
    members = models.get_model_weights(spec.name).__members__
    if weights == "pretrained" or weights in members:
        state, where = find_cached(_places(chosen), spec, fetch=_fetch(spec, chosen))
        with _supplying(chosen, state):
            model = _made(models, spec, weights=chosen)
        model.aux_classifier = None  # of segmentation: a loss in training
        return model, where
    with seeded(spec.options.seed):
        model = _made(models, spec, weights=None)
    if weights == "random":
        return model, f"random, seed {spec.options.seed}"
    state = {
        n: t
        for n, t in read_state(weights).items()
        if not n.startswith(("aux_classifier.", "AuxLogits.", "aux1.", "aux2."))
    }
    load_into(model, state, weights)
    return model, weights


def _made(models: Any, spec: Spec, **arguments: Any) -> Any:
    """Returns what the library's own builder makes; it downloads no backbone."""
    if arguments["weights"] is None and _family(models, spec.name) in (_SEGMENTATION, _DETECTION):
        arguments["weights_backbone"] = None
    if arguments["weights"] is None and spec.name in {"googlenet", "inception_v3"}:
        arguments |= {"aux_logits": False, "init_weights": True}
    if spec.options.classes is not None:
        arguments["num_classes"] = spec.options.classes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return models.get_model(spec.name, **arguments)
    except (RuntimeError, ValueError) as error:  # weights of other classes, or of another version
        raise InputError(f"{error}"[:400], where=spec.text) from error


@contextmanager
def _supplying(chosen: Any, state: dict[str, torch.Tensor]) -> Iterator[None]:
    """Lets the library's builder have weights that were read here, where it would unpickle or download."""
    chosen.get_state_dict = lambda *_, **__: state
    try:
        yield
    finally:
        del chosen.get_state_dict


def _places(chosen: Any) -> list[Any]:
    return [] if chosen is None else [torch_hub_file(chosen.url)]


def _fetch(spec: Spec, chosen: Any) -> str:
    if chosen is None:
        return ""
    call = f"torchvision.models.get_model('{spec.name}', weights='{chosen.name}')"
    return f'python -c "import torchvision; {call}" fetches them'


def _sides(transform: Any) -> tuple[int, int]:
    """Returns height and width that a transform of weights makes: of its crop, or of its resize."""
    size = getattr(transform, "crop_size", None) or getattr(transform, "resize_size", None) or [224]
    return int(size[0]), int(size[-1])


def _preprocess(transform: Any, sides: tuple[int, int]) -> Preprocess | None:
    """Returns a classifier's resize and crop; of a segmentation model a resize to the one size that is compiled."""
    fields: dict[str, Any] = {"resize": sides}
    if hasattr(transform, "crop_size"):
        usual, own = transform.resize_size[0], transform.crop_size[0]
        fields = {"resize": (round(usual * min(sides) / own),), "crop": sides}
    try:
        return Preprocess.of(transform, **fields)
    except InputError:  # of films, of pairs
        return None
