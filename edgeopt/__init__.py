"""edgeopt takes a trained PyTorch model to a small, fast, verified artefact on a named device."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeopt import errors
    from edgeopt.api import (
        backends,
        capture,
        compare,
        compile,  # noqa: A004 (the word that users know)
        compress,
        deploy,
        distill,
        explain,
        export,
        load,
        load_model,
        load_pruned,
        pictures,
        pixel_input,
        predict,
        profile,
        profile_many,
        profile_operators,
        prune,
        quantize,
        reference,
        report,
        search,
        targets,
        train_quantized,
    )
    from edgeopt.bundles import Bundle
    from edgeopt.bundles.application import Application, Prediction
    from edgeopt.deployment.methods import Method
    from edgeopt.deployment.plan import Plan
    from edgeopt.deployment.result import Deployment
    from edgeopt.distillation import Distilled
    from edgeopt.ir import Program
    from edgeopt.options import (
        AudioPreprocess,
        BundleOptions,
        Calibration,
        Checks,
        Classification,
        Columns,
        Detection,
        Embedding,
        FidelityLimits,
        LogMel,
        ParityChecks,
        ParityLimits,
        Preprocess,
        QuantizationConfig,
        RecipeTraining,
        Segmentation,
        Shapes,
        TextPreprocess,
        TrainingOptions,
        TuneOptions,
    )
    from edgeopt.recipes import Compressed, Recipe
    from edgeopt.searching import SearchResult
    from edgeopt.sources import NamedModel

__version__ = "0.1.0"

__all__ = [
    "Application",
    "AudioPreprocess",
    "Bundle",
    "BundleOptions",
    "Calibration",
    "Checks",
    "Classification",
    "Columns",
    "Compressed",
    "Deployment",
    "Detection",
    "Distilled",
    "Embedding",
    "FidelityLimits",
    "LogMel",
    "Method",
    "NamedModel",
    "ParityChecks",
    "ParityLimits",
    "Plan",
    "Prediction",
    "Preprocess",
    "Program",
    "QuantizationConfig",
    "Recipe",
    "RecipeTraining",
    "SearchResult",
    "Segmentation",
    "Shapes",
    "TextPreprocess",
    "TrainingOptions",
    "TuneOptions",
    "backends",
    "capture",
    "compare",
    "compile",
    "compress",
    "deploy",
    "distill",
    "errors",
    "explain",
    "export",
    "load",
    "load_model",
    "load_pruned",
    "pictures",
    "pixel_input",
    "predict",
    "profile",
    "profile_many",
    "profile_operators",
    "prune",
    "quantize",
    "reference",
    "report",
    "search",
    "targets",
    "train_quantized",
]

_LAZY = {
    **dict.fromkeys(
        (
            "backends",
            "capture",
            "compare",
            "compile",
            "compress",
            "deploy",
            "distill",
            "explain",
            "export",
            "load",
            "load_model",
            "load_pruned",
            "pictures",
            "pixel_input",
            "predict",
            "profile",
            "profile_many",
            "profile_operators",
            "prune",
            "quantize",
            "reference",
            "report",
            "search",
            "targets",
            "train_quantized",
        ),
        "edgeopt.api",
    ),
    **dict.fromkeys(
        (
            "AudioPreprocess",
            "BundleOptions",
            "Calibration",
            "Checks",
            "Classification",
            "Columns",
            "Detection",
            "Embedding",
            "FidelityLimits",
            "LogMel",
            "ParityChecks",
            "ParityLimits",
            "Preprocess",
            "QuantizationConfig",
            "RecipeTraining",
            "Shapes",
            "Segmentation",
            "TextPreprocess",
            "TrainingOptions",
            "TuneOptions",
        ),
        "edgeopt.options",
    ),
    "Application": "edgeopt.bundles.application",
    "Bundle": "edgeopt.bundles",
    "Compressed": "edgeopt.recipes",
    "Deployment": "edgeopt.deployment.result",
    "Distilled": "edgeopt.distillation",
    "Method": "edgeopt.deployment.methods",
    "Plan": "edgeopt.deployment.plan",
    "NamedModel": "edgeopt.sources",
    "Prediction": "edgeopt.bundles.application",
    "Program": "edgeopt.ir",
    "Recipe": "edgeopt.recipes",
    "SearchResult": "edgeopt.searching",
}
"""Public name to the module that holds it, imported on first use (PEP 562): torch is not here."""


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("edgeopt.errors")
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
