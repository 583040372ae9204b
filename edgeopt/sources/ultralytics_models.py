"""``ultralytics:NAME.pt``, ``ultralytics:NAME.yaml``: detectors, with masks, keypoints or angles, and classifiers."""

from __future__ import annotations

import copy
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.boundary import decode_yaml, read_file
from edgeopt.boundary.pickles import Described
from edgeopt.errors import InputError
from edgeopt.options import Classification, Columns, Detection, Preprocess
from edgeopt.sources.checkpoint import module_state, read_state
from edgeopt.sources.named_model import NamedModel
from edgeopt.sources.packages import imported, unknown_model
from edgeopt.sources.pickled_module import restore_module
from edgeopt.sources.pictures import example_picture, names_of
from edgeopt.sources.random_weights import settle
from edgeopt.sources.torch_save import read_checkpoint
from edgeopt.sources.weights import load_into, missing, seeded
from edgeopt.sources.yolo_architecture import checked_architecture

if TYPE_CHECKING:
    from edgeopt.sources.spec import Spec

__all__ = ["UltralyticsModels"]

_SIDE = {"classify": 224}
_USUAL_SIDE = 640
_CLASSES = {
    "detect": "DetectionModel",
    "segment": "SegmentationModel",
    "pose": "PoseModel",
    "obb": "OBBModel",
    "classify": "ClassificationModel",
    "rtdetr": "RTDETRDetectionModel",
}
_HEADS = (
    *(("Segment", "segment"), ("Pose", "pose"), ("OBB", "obb"), ("Classify", "classify")),
    *(("RTDETRDecoder", "rtdetr"), ("Detect", "detect"), ("v10Detect", "detect")),
)
"""How the last layer's name begins, to the task."""
_TASKS = {
    "detect": "detection",
    "rtdetr": "detection",
    "segment": "instance segmentation",
    "pose": "pose",
    "obb": "rotated detection",
}
_PERSON_KEYPOINTS = 17
_PERSON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
"""Which of the 17 keypoints of COCO a drawing joins: `Annotator.skeleton` of ultralytics, counted from 0."""
_MAX_YAML = 1 << 20


class _Origin(NamedTuple):
    """A model of ultralytics and what was found beside its weights."""

    model: Any
    weights: str
    names: Any = None
    side: int | None = None


class UltralyticsModels:
    """The source ``ultralytics``."""

    name = "ultralytics"

    def names(self) -> list[str]:
        """Returns the names of the architectures that the library brings."""
        return sorted(f"{path.stem}.yaml" for path in _library_files(_ultralytics()))

    def options(self) -> tuple[str, ...]:
        """Returns which options make a difference."""
        return ("weights", "size", "classes", "seed")

    def load(self, spec: Spec) -> NamedModel:
        """Returns the model, exporting what its library exports: one array a kind of result."""
        library = _ultralytics()
        suffix = Path(spec.name).suffix
        if suffix not in {".pt", ".yaml", ".yml"}:
            hint = f"{spec.source}:{spec.name}.pt for trained weights, {spec.source}:{spec.name}.yaml for none"
            raise InputError("expected the name of a .pt or .yaml file", where=spec.text, hint=hint)
        origin = _of_checkpoint(library, spec) if suffix == ".pt" else _of_yaml(library, spec)
        return _described(spec, origin)


def _ultralytics() -> Any:
    """Returns the package; it asks no network whether there is one, installs nothing, and is quiet."""
    for name, value in (
        ("YOLO_OFFLINE", "true"),
        ("YOLO_AUTOINSTALL", "false"),
        ("YOLO_VERBOSE", "false"),
    ):
        os.environ.setdefault(name, value)
    library = imported("ultralytics", "ultralytics")
    imported("ultralytics.nn.tasks", "ultralytics")
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    return library


def _library_files(library: Any) -> list[Path]:
    return sorted((Path(library.__file__).parent / "cfg" / "models").rglob("*.yaml"))


def _of_checkpoint(library: Any, spec: Spec) -> _Origin:
    """Returns the model of a ``.pt`` file: its architecture is built anew, its weights are put in."""
    if spec.options.weights != "pretrained":
        hint = f"name the architecture: ultralytics:{Path(spec.name).stem}.yaml,weights={spec.options.weights}"
        raise InputError("a .pt file is weights already", where=spec.text, hint=hint)
    path = _find(library, spec)
    checkpoint = read_checkpoint(path)
    module = (
        checkpoint
        if isinstance(checkpoint, Described)
        else (
            checkpoint.get("ema") or checkpoint.get("model")
            if isinstance(checkpoint, dict)
            else None
        )
    )
    if not isinstance(module, Described) or not isinstance(module.state, dict):
        hint = f"ultralytics:ARCHITECTURE.yaml,weights={spec.name} where it holds weights alone"
        raise InputError("it holds no model of ultralytics", where=str(path), hint=hint)
    facts = module.state
    model = _model(library, facts.get("yaml"), spec, str(path), kind=module.kind.rpartition(".")[2])
    restore_module(model, module, str(path))
    load_into(model, module_state(module, str(path)), str(path))
    trained = facts.get("args") if isinstance(facts.get("args"), dict) else {}
    side = trained.get("imgsz") if isinstance(trained, dict) else None
    return _Origin(model, str(path), facts.get("names"), side if isinstance(side, int) else None)


def _find(library: Any, spec: Spec) -> Path:
    """Returns the file, where a user would put it or the library keeps it."""
    settings = imported("ultralytics.utils", "ultralytics").SETTINGS
    places = [Path(spec.name).absolute()]
    if Path(spec.name).name == spec.name:
        places.append(Path(str(settings.get("weights_dir", "weights"))).absolute() / spec.name)
    for place in places:
        if place.is_file():
            return place
    stem = Path(spec.name).stem
    fetch = f"""python -c "from ultralytics import YOLO; YOLO('{spec.name}')" fetches them into this folder"""
    if not any(_unscaled(one.stem) == _unscaled(stem) for one in _library_files(library)):
        fetch = ""
    error = missing(spec, [str(place) for place in places], fetch)
    more = (
        f"ultralytics:{stem}.yaml,weights=random (untrained)"
        if fetch
        else "the path of your own .pt file"
    )
    raise InputError(error.what, where=spec.text, hint=f"{fetch} or {more}" if fetch else more)


def _of_yaml(library: Any, spec: Spec) -> _Origin:
    """Returns the model of an architecture, its weights from a file or random."""
    path = Path(spec.name)
    tasks = imported("ultralytics.nn.tasks", "ultralytics")
    if not path.is_file():
        known = {one.stem: one for one in _library_files(library)}
        known_name = known.get(path.stem) or known.get(_unscaled(path.stem))
        if known_name is None or path.name != spec.name:
            raise unknown_model(
                spec.text,
                spec.name,
                [f"{one}.yaml" for one in known],
                "ultralytics",
                str(path.absolute()),
            )
        path = known_name
    table = decode_yaml(read_file(path, most=_MAX_YAML), where=str(path))
    if isinstance(table, dict):
        table["scale"] = tasks.guess_model_scale(spec.name)
        table["yaml_file"] = Path(spec.name).name
    weights = spec.options.weights
    if weights == "pretrained":
        stem = Path(spec.name).stem
        ways = f"ultralytics:{stem}.pt, or ultralytics:{spec.name},weights=random (untrained), or weights=FILE"
        raise InputError(
            "an architecture has no weights, and none were named", where=spec.text, hint=ways
        )
    model = _model(library, table, spec, str(path))
    if weights != "random":
        load_into(model, read_state(weights), weights)
        return _Origin(model, weights)
    sides = _sides(model, spec, _side_of(model))
    settle(model, example_picture(_channels(model), *sides), spec.options.seed)
    return _Origin(model, f"random, seed {spec.options.seed}")


def _unscaled(stem: str) -> str:
    """Returns the name of the file that all sizes share: ``yolo11`` of ``yolo11n``."""
    return re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", stem)


def _model(library: Any, found: Any, spec: Spec, where: str, kind: str = "") -> Any:
    """Returns an untrained model of a checked architecture.

    Raises:
        InputError: The architecture is not one, or of a task that is not taken by name.
    """
    tasks = imported("ultralytics.nn.tasks", "ultralytics")
    architecture = checked_architecture(found, tasks, where)
    task = _task(architecture)
    if task not in _CLASSES or kind not in {"", _CLASSES[task]}:
        what = f"a model of the kind {kind or task}, which is not taken by name"
        hint = f"kinds: {', '.join(_CLASSES)}; pass others as package.module:function"
        raise InputError(what, where=where, hint=hint)
    if spec.options.classes is not None:
        architecture["nc"] = spec.options.classes
    with seeded(spec.options.seed):
        try:
            model = getattr(tasks, _CLASSES[task])(copy.deepcopy(architecture), verbose=False)
        except Exception as error:  # of any kind: the library's parser checks little
            version = f"ultralytics {library.__version__}"
            what = f"{version} cannot build it: {type(error).__name__}: {error}"[:400]
            raise InputError(what, where=where, hint="is it of a newer version?") from error
    model.task = task
    return model


def _task(architecture: dict[str, Any]) -> str:
    """Returns what the last layer is for."""
    last = str(architecture["head"][-1][2])
    return next((task for name, task in _HEADS if last.startswith(name)), last)


def _side_of(model: Any) -> int:
    return _SIDE.get(model.task, _USUAL_SIDE)


def _described(spec: Spec, origin: _Origin) -> NamedModel:
    model = origin.model.eval().requires_grad_(requires_grad=False)
    for layer in model.modules():
        if hasattr(layer, "export"):
            layer.export = True  # what its library's own exports compute: results alone
    sides = _sides(model, spec, origin.side or _side_of(model))
    head = model.model[-1]
    return NamedModel(
        name=spec.text,
        model=model,
        example_inputs=example_picture(_channels(model), *sides),
        task=_TASKS.get(model.task, "classification"),
        preprocess=_preprocess(model, sides),
        postprocess=_postprocess(model.task, head, int(model.yaml["nc"])),
        labels=names_of(origin.names, int(model.yaml["nc"])),
        weights=origin.weights,
    )


def _channels(model: Any) -> int:
    return int(model.yaml.get("channels", 3))


def _sides(model: Any, spec: Spec, usual: int) -> tuple[int, int]:
    """Returns height and width, which have to be multiples of the coarsest stride."""
    sides = spec.options.sides or (usual, usual)
    stride = int(model.stride.max()) if model.task != "classify" else 1
    if sides[0] % stride or sides[1] % stride:
        near = "x".join(str(max(stride, round(side / stride) * stride)) for side in sides)
        what = f"size: {sides[0]}x{sides[1]} are no multiples of {stride}, the model's stride"
        raise InputError(what, where=spec.text, hint=f"size={near}")
    return sides


def _preprocess(model: Any, sides: tuple[int, int]) -> Preprocess | None:
    """Returns what the library's predictors do: a letterbox, or a resize and crop for classifiers."""
    colors = {1: "L", 3: "RGB"}
    if _channels(model) not in colors:
        return None
    color: Any = colors[_channels(model)]
    if model.task == "classify":
        square = sides[0] == sides[1]
        return Preprocess(resize=sides[:1] if square else sides, crop=sides, color=color)
    fit: Any = "stretch" if model.task == "rtdetr" else "letterbox"
    return Preprocess(resize=sides, fit=fit, antialias=False, color=color)


def _postprocess(task: str, head: Any, classes: int) -> Classification | Detection:
    """Returns where the exported head has what."""
    if task == "classify":
        return Classification(activation="none")
    if task == "rtdetr":
        chosen = hasattr(
            head, "postprocess"
        )  # older versions leave the choice of a class to their users
        return Detection(
            boxes=Columns(count=4),
            scores=Columns(start=4, count=1 if chosen else classes),
            classes=Columns(start=5, count=1) if chosen else None,
            box_format="cxcywh",
            units="normalized",
            nms=False,
        )
    more: dict[str, Any] = {"end_to_end": bool(getattr(head, "end2end", False))}
    if task == "segment":
        more |= {"masks": head.nm, "prototypes": "output_1"}
    if task == "pose":
        count, numbers = head.kpt_shape
        skeleton = _PERSON if count == _PERSON_KEYPOINTS else ()
        more |= {"keypoints": (count, numbers), "skeleton": skeleton}
    return Detection.yolo(classes, rotated=task == "obb", **more)
