"""``hf:FOLDER``, ``hf:OWNER/NAME``: models of the transformers library, from a folder or this machine's cache."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.files.temporary import temporary_folder
from edgeopt.options import Classification, Columns, Detection, Embedding, Segmentation
from edgeopt.sources.checkpoint import read_state
from edgeopt.sources.named_model import NamedModel
from edgeopt.sources.packages import imported
from edgeopt.sources.pictures import example_picture, names_of
from edgeopt.sources.processors import picture_of, text_of
from edgeopt.sources.weights import hub_file, missing, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from edgeopt.options.postprocess import Postprocess
    from edgeopt.sources.spec import Spec

__all__ = ["TransformersModels"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_MAX_CONFIG = 8 << 20
_REFUSED = {
    "auto_map": "code of its own",
    "quantization_config": "weights that are quantized already",
    "attn_implementation": "a kernel from elsewhere",
    "_attn_implementation": "a kernel from elsewhere",
    "experts_implementation": "a kernel from elsewhere",
}
"""Fields of a configuration that would have something fetched, or run, that is not the library's."""
_TEXT_LENGTH = 128
_WRITING = (
    *("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq"),
    *("ForTextToSpeech", "VisionEncoderDecoderModel", "EncoderDecoderModel"),
)
"""Endings of architectures whose answer is as long as they like."""


class _Kind(NamedTuple):
    """What is done with architectures of one ending."""

    ending: str
    loader: str
    task: str
    outputs: tuple[str, ...]
    takes: str


_KINDS = (
    _Kind(
        "ForImageClassification",
        "AutoModelForImageClassification",
        "classification",
        ("logits",),
        "picture",
    ),
    _Kind(
        "ForSemanticSegmentation",
        "AutoModelForSemanticSegmentation",
        "segmentation",
        ("logits",),
        "picture",
    ),
    _Kind(
        "ForObjectDetection",
        "AutoModelForObjectDetection",
        "detection",
        ("logits", "pred_boxes"),
        "picture",
    ),
    _Kind(
        "ForSequenceClassification",
        "AutoModelForSequenceClassification",
        "classification",
        ("logits",),
        "text",
    ),
    _Kind(
        "ForTokenClassification",
        "AutoModelForTokenClassification",
        "token classification",
        ("logits",),
        "text",
    ),
    _Kind("Model", "AutoModel", "embedding", ("last_hidden_state",), ""),
)


class TransformersModels:
    """The source ``hf``."""

    name = "hf"

    def names(self) -> list[str]:
        """Returns none: what there is, only the hub knows."""
        return []

    def options(self) -> tuple[str, ...]:
        """Returns which options make a difference."""
        return ("weights", "size", "length", "seed")

    def load(self, spec: Spec) -> NamedModel:
        """Returns the model, with what its folder says of pictures, texts and classes."""
        transformers = imported("transformers", "hf")
        folder = _folder(spec)
        plain = _json(folder / "config.json")
        _check_config(plain, folder / "config.json")
        kind = _kind(plain, folder / "config.json")
        config = _config(transformers, folder)
        model, weights = _model(transformers, kind, config, folder, spec)
        if kind.takes == "picture" or (
            not kind.takes and getattr(model, "main_input_name", "") == "pixel_values"
        ):
            return _picture_model(spec, kind, model.eval(), folder, plain, weights)
        return _text_model(spec, kind, model.eval(), folder, plain, weights)


def _folder(spec: Spec) -> Path:
    """Returns the folder that is meant: one of the user's, or the newest snapshot in the library's cache."""
    folder = Path(spec.name)
    if folder.is_dir():
        return folder
    places = hub_file(spec.name, "config.json") if _ID.fullmatch(spec.name) else []
    for place in places:
        if place.path is not None:
            return place.path.parent
    looked = [str(folder.absolute()), *(place.text for place in places)]
    fetch = f"hf download {spec.name} fetches it" if places else ""
    error = missing(spec, looked, fetch)
    ways = f"{fetch} or hf:./FOLDER that model.save_pretrained wrote".removeprefix(" or ")
    raise InputError(error.what.replace("its weights are", "it is"), where=spec.text, hint=ways)


def _json(path: Path) -> dict[str, Any]:
    content = read_file(path, most=_MAX_CONFIG)
    table: dict[str, Any] = decode_json(content, dict[str, Any], where=str(path))
    return table


def _check_config(plain: dict[str, Any], path: Path) -> None:
    """Refuses configurations that would have more than the library's own classes loaded."""
    todo: list[Any] = [plain]
    while todo:
        table = todo.pop()
        for field, what in _REFUSED.items():
            value = table.get(field)
            if value is not None and value not in ("eager", "sdpa"):
                hint = "build it yourself, and pass package.module:function"
                raise InputError(f"it asks for {what} ({field})", where=str(path), hint=hint)
        todo += [one for one in table.values() if isinstance(one, dict)]


def _kind(plain: dict[str, Any], path: Path) -> _Kind:
    """Returns what is done with the architecture that a configuration names; the name itself is never imported."""
    named = plain.get("architectures")
    name = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    what = f"architecture {name or 'not named'}: not taken by name"[:200]
    if name.endswith(_WRITING):
        hint = (
            "it writes a token at a time: write its prompt (or encoder) and its step as two edgeopt.Method "
            "that share a cache, as examples/13_language_model.py and 10_whisper.py do"
        )
        raise InputError(what, where=str(path), hint=hint)
    for kind in _KINDS:
        if name.endswith(kind.ending):
            return kind
    endings = ", ".join(f"…{kind.ending}" for kind in _KINDS)
    raise InputError(
        what, where=str(path), hint=f"taken are {endings}; pass others as package.module:function"
    )


def _config(transformers: Any, folder: Path) -> Any:
    try:
        config = transformers.AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # of any kind, for files of all versions
        what = f"transformers {transformers.__version__} cannot read it: {error}"[:400]
        raise InputError(
            what, where=str(folder / "config.json"), hint="is it of a newer version?"
        ) from error
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = (
            False  # would be downloaded; the weights hold the backbone too
        )
    return config


def _model(
    transformers: Any, kind: _Kind, config: Any, folder: Path, spec: Spec
) -> tuple[torch.nn.Module, str]:
    loader = getattr(transformers, kind.loader)
    weights = spec.options.weights
    try:
        with seeded(spec.options.seed), _quiet(transformers):
            if weights == "random":
                return loader.from_config(
                    config, trust_remote_code=False
                ), f"random, seed {spec.options.seed}"
            if weights == "pretrained" and list(folder.glob("*.safetensors")):
                return _pretrained(loader, folder, config), str(folder)
            path = folder / "pytorch_model.bin" if weights == "pretrained" else Path(weights)
            if weights == "pretrained" and not path.is_file():
                looked = [str(folder / "*.safetensors"), str(path)]
                raise missing(
                    spec,
                    looked,
                    f"hf download {spec.name} fetches them" if "/" in spec.name else "",
                )
            return _with_state(loader, config, read_state(path)), str(path)
    except InputError:
        raise
    except Exception as error:  # of any kind: the library checks configurations as it builds
        what = f"transformers {transformers.__version__} cannot build it: {type(error).__name__}: {error}"[
            :400
        ]
        raise InputError(what, where=str(folder)) from error


def _with_state(loader: Any, config: Any, state: dict[str, torch.Tensor]) -> Any:
    """Returns a model with these weights: the library takes them from a safetensors file, and renames old ones."""
    from safetensors.torch import save_file  # noqa: PLC0415 (heavy)

    with temporary_folder() as folder:
        config.save_pretrained(folder)
        alone = {
            name: tensor.clone().contiguous() for name, tensor in state.items()
        }  # it refuses tied ones
        save_file(alone, folder / "model.safetensors", metadata={"format": "pt"})
        return _pretrained(loader, folder, config)


def _pretrained(loader: Any, folder: Path, config: Any) -> Any:
    """Returns a model with all of its weights: one that lacks some would compute nonsense.

    Raises:
        InputError: Weights are missing, or of other shapes.
    """
    import torch  # noqa: PLC0415 (heavy)

    fixed = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    model, facts = loader.from_pretrained(
        str(folder), config=config, output_loading_info=True, dtype=torch.float32, **fixed
    )
    wrong = sorted(map(str, (*facts["missing_keys"], *facts["mismatched_keys"])))
    if wrong:
        what = f"weights of another model: no {wrong[0]} ({len(wrong)} missing)"
        raise InputError(what, where=str(folder))
    return model


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keeps the library's bars and hints off the terminal."""
    talk = transformers.utils.logging
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()


def _picture_model(
    spec: Spec, kind: _Kind, model: Any, folder: Path, plain: dict[str, Any], weights: str
) -> NamedModel:
    from edgeopt.sources.transformers_modules import PictureModule  # noqa: PLC0415 (torch)

    sides, preprocess = picture_of(folder, spec.options.sides, plain)
    channels = plain.get("num_channels", 3)
    return NamedModel(
        name=spec.text,
        model=PictureModule(model, kind.outputs).eval(),
        example_inputs=example_picture(channels, *sides),
        task=kind.task,
        preprocess=preprocess,
        postprocess=_postprocess(kind, plain, folder),
        labels=names_of(plain.get("id2label")),
        weights=weights,
    )


def _text_model(
    spec: Spec, kind: _Kind, model: Any, folder: Path, plain: dict[str, Any], weights: str
) -> NamedModel:
    from edgeopt.sources.transformers_modules import example_text, text_module  # noqa: PLC0415 (torch)

    module = text_module(model, kind.outputs)
    length = spec.options.length or min(
        _TEXT_LENGTH, int(plain.get("max_position_embeddings") or _TEXT_LENGTH)
    )
    return NamedModel(
        name=spec.text,
        model=module,
        example_inputs=example_text(module, length, int(plain.get("vocab_size") or 2)),
        task=kind.task,
        preprocess=text_of(folder, module.inputs, length, plain),
        postprocess=None
        if kind.task == "token classification"
        else _postprocess(kind, plain, folder),
        labels=names_of(plain.get("id2label")),
        weights=weights,
    )


def _postprocess(kind: _Kind, plain: dict[str, Any], folder: Path) -> Postprocess:
    if kind.task == "segmentation":
        return Segmentation(output="logits")
    if kind.task == "detection":
        return _boxes(plain)
    if kind.task == "embedding":
        pooling = folder / "1_Pooling" / "config.json"  # of sentence-transformers
        first = _json(pooling).get("pooling_mode_cls_token") is True if pooling.is_file() else False
        return Embedding(output=kind.outputs[0], pooling="first" if first else "mean")
    several = plain.get("problem_type") == "multi_label_classification"
    return Classification(output="logits", activation="sigmoid" if several else "softmax")


def _boxes(plain: dict[str, Any]) -> Detection:
    """Returns where detectors of the DETR family have what: they choose one box an object, so there is no NMS.

    DETR, YOLOS and Table Transformer have a last class of no object; those that learnt by a focal loss have none.
    """
    focal = str(plain.get("model_type")) not in {
        "detr",
        "yolos",
        "table-transformer",
    }
    return Detection(
        boxes=Columns(output="pred_boxes"),
        scores=Columns(output="logits"),
        box_format="cxcywh",
        units="normalized",
        activation="sigmoid" if focal else "softmax",
        background="none" if focal else "last",
        nms=False,
        confidence=0.5,
    )
