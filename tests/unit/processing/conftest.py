from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parents[3] / "out" / "models"

# `make any-model` puts torchvision, timm and ultralytics there: what is held against them needs them.
collect_ignore = (
    [] if (MODELS / "torchvision").is_dir() else ["test_transforms.py", "test_detectors.py"]
)
