"""ExecuTorch: PT2E with its XNNPACK quantizer, lowered to the XNNPACK delegate, run by its Python runtime.

Its documentation ("XNNPACK Backend, Quantization"): ``get_symmetric_quantization_config(is_per_channel=True)``,
``is_dynamic`` for transformers, then ``to_edge_transform_and_lower`` with the partitioner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path

    from _worker import Runner


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 (slow, and the server starts without the compiler)
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # noqa: PLC0415
        XnnpackPartitioner,
    )
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # noqa: PLC0415
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # noqa: PLC0415

    dynamic = bool(settings.get("dynamic"))
    samples = case.tensors()
    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    prepared = prepare_pt2e(case.program().module(), XNNPACKQuantizer().set_global(config))
    with torch.no_grad():
        for sample in samples[:1] if dynamic else samples:
            prepared(*sample)
    exported = torch.export.export(convert_pt2e(prepared), samples[0])
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    (folder / "artifact").mkdir()
    (folder / "artifact" / "model.pte").write_bytes(lowered.to_executorch().buffer)
    return {"precision": "int8-dynamic" if dynamic else "int8"}


def _load(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    import executorch.kernels.quantized  # noqa: F401, PLC0415 (registers quantize and dequantize)
    import torch  # noqa: PLC0415
    from executorch.extension.pybindings import portable_lib  # noqa: PLC0415
    from executorch.runtime import Runtime  # noqa: PLC0415

    portable_lib._unsafe_reset_threadpool(threads)  # noqa: SLF001 (there is no other way)
    program = Runtime.get().load_program(folder / "artifact" / "model.pte")
    method = program.load_method("forward")

    def run(sample: tuple[np.ndarray, ...]) -> np.ndarray:
        (result,) = method.execute([torch.from_numpy(x) for x in sample])
        return np.array(result.numpy())

    return run


if __name__ == "__main__":
    work(_deploy, _load)
