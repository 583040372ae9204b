from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgeopt.bundles import write_bundle
from edgeopt.testing.toy import (
    REPLAY_RUNTIME,
    replay_artifact,
    toy_artifact,
    toy_golden,
    toy_runtime,
    toy_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgeopt.bundles import Bundle


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a toy bundle, by default to ``tmp_path / "toy"``."""

    def made(name: str = "toy", *, inputs: int = 1, outputs: int = 1, **options: Any) -> Bundle:
        artifact = options.pop("artifact", None) or toy_artifact(inputs=inputs, outputs=outputs)
        options.setdefault("golden", toy_golden(artifact))
        runtime = options.pop("runtime", None) or toy_runtime()
        return write_bundle(artifact, runtime, toy_target(), path=tmp_path / name, **options)

    return made


@pytest.fixture
def toy(make: Callable[..., Bundle]) -> Bundle:
    return make(report={"latency_ms": 1.5})


@pytest.fixture
def replay(make: Callable[..., Bundle]) -> Callable[..., Bundle]:
    """Writes a bundle of a model that takes inputs like those named, and gives the outputs named."""

    def made(inputs: Any, outputs: Any, **options: Any) -> Bundle:
        artifact = replay_artifact(inputs, outputs)
        runtime = toy_runtime(source=REPLAY_RUNTIME)
        return make(artifact=artifact, runtime=runtime, golden=None, **options)

    return made
