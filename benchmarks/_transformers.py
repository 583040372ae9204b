"""Transformers as people deploy them, and NNCF's int8 of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from _deployable import Deployable, deployable, photographs, plausible, transformers_model
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NAMES", "nncf_transformer", "transformer"]

_TIMM = {
    "ViT-S": ("vit_small_patch16_224", 12),
    "DeiT-Ti": ("deit_tiny_patch16_224", 12),
    "ViT-B": ("vit_base_patch16_224", 12),
    "Swin-T": ("swin_tiny_patch4_window7_224", 0),
}
NAMES = (*_TIMM, "BERT-base", "all-MiniLM-L6-v2")


def transformer(name: str, count: int, layers: int | None) -> Deployable:
    """Returns a model with ``count`` inputs.

    Args:
        name: One of `NAMES`.
        count: How many inputs.
        layers: Blocks that it shall have instead of all; Swin-T two a stage. all-MiniLM-L6-v2, whose weights are
            trained, keeps its own.
    """
    if name in _TIMM:
        return _picture_model(name, count, layers)
    if name == "BERT-base" and layers:
        settings = {"num_hidden_layers": layers}
        model = transformers_model("BertForSequenceClassification", "BertConfig", **settings)
        return deployable(name, count, make=model)
    return deployable(name, count)


def nncf_transformer(entry: Deployable, folder: Path) -> tuple[Path, Path]:
    """Returns the .xml of the float model and of NNCF's int8 one, made as it says for transformers."""
    import nncf  # noqa: PLC0415 (a peer, slow to import)
    import openvino as ov  # noqa: PLC0415

    example = entry.samples[0]
    converted = ov.convert_model(torch.export.export(entry.model, example))
    shapes = zip(converted.inputs, example, strict=True)
    converted.reshape({place.any_name: list(tensor.shape) for place, tensor in shapes})
    quantized = nncf.quantize(
        converted,
        nncf.Dataset([[t.numpy() for t in sample] for sample in entry.samples]),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(entry.samples),
    )
    paths = folder / "float.xml", folder / "nncf.xml"
    for path, model in zip(paths, (converted, quantized), strict=True):
        ov.save_model(model, path, compress_to_fp16=False)
    return paths


def _picture_model(name: str, count: int, layers: int | None) -> Deployable:
    """Returns a model of timm; tokens and positions get the size of what patches are embedded to."""
    from _any_model.packages import make_importable  # noqa: PLC0415

    make_importable()
    import timm  # noqa: PLC0415 (an optional package)

    own, depth = _TIMM[name]
    settings: dict[str, Any] = {"depth": layers or depth} if depth else {}
    if not depth and layers:
        settings = {"depths": (2, 2, 2, 2)}
    torch.manual_seed(0)
    model = timm.create_model(own, **settings).eval()
    plausible(model)
    for field, parameter in model.named_parameters():
        if field in ("cls_token", "pos_embed"):
            nn.init.normal_(parameter, 0, 0.5)
    return Deployable(name, model, photographs(224)(count))
