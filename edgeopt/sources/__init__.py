"""Models by name: ``timm:resnet18``, ``torchvision:resnet18``, ``ultralytics:yolo11n.pt``, ``hf:PATH``.

Each source is one module, imported on first use, the only one that imports its library. More can be
offered by other packages, under the entry point group ``edgeopt.sources``.
"""

from edgeopt.sources.named_model import ModelSource, NamedModel
from edgeopt.sources.registry import GROUP, find_source, is_name, load_named, source_names

__all__ = [
    "GROUP",
    "ModelSource",
    "NamedModel",
    "find_source",
    "is_name",
    "load_named",
    "source_names",
]
