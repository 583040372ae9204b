"""What `import edgeopt` offers. Each function imports what it needs when it is called."""

from __future__ import annotations

from edgeopt.api.by_name import load_model, pictures
from edgeopt.api.compressing import (
    compress,
    distill,
    load_pruned,
    prune,
    search,
    train_quantized,
)
from edgeopt.api.deploying import (
    backends,
    capture,
    compile,  # noqa: A004 (the word that users know)
    deploy,
    export,
    load,
    pixel_input,
    predict,
    quantize,
    reference,
    targets,
)
from edgeopt.api.explaining import explain
from edgeopt.api.measuring import (
    compare,
    profile,
    profile_many,
    profile_operators,
)
from edgeopt.api.reporting import report

__all__ = [
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
]
