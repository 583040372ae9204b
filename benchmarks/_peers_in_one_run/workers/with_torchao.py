"""torchao: PT2E with its quantizer for x86, compiled by torch's inductor.

Its documentation ("PyTorch 2 Export Quantization with X86 Backend through Inductor"): static for convolutional
networks, dynamic for language models, ``torch.compile`` with freezing. The artefact is the quantized program; it is
compiled when it is deployed, and again when it is loaded, as torch does in each process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from _worker import Runner


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 (slow)
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86  # noqa: PLC0415
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # noqa: PLC0415

    dynamic = bool(settings.get("dynamic"))
    samples = case.tensors()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=dynamic))
    prepared = prepare_pt2e(case.program().module(), quantizer)
    with torch.no_grad():
        for sample in samples[:1] if dynamic else samples:
            prepared(*sample)
    exported = torch.export.export(convert_pt2e(prepared), samples[0])
    (folder / "artifact").mkdir()
    torch.export.save(exported, folder / "artifact" / "model.pt2")
    _load(case, folder, settings, threads=torch.get_num_threads())(case.checks[0])
    return {"precision": "int8-dynamic" if dynamic else "int8"}


def _load(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    import torch  # noqa: PLC0415
    import torchao.quantization.pt2e  # noqa: F401, PLC0415 (registers the operators of the file)
    from torch._inductor import config  # noqa: PLC0415
    from torchao.quantization.pt2e.lowering import lower_pt2e_quantized_to_x86  # noqa: PLC0415

    torch.set_num_threads(threads)
    config.freezing = True
    module = torch.export.load(folder / "artifact" / "model.pt2").module()
    with torch.no_grad():
        example = tuple(map(torch.from_numpy, _.checks[0]))
        compiled = torch.compile(lower_pt2e_quantized_to_x86(module, example))

    def run(sample: tuple[np.ndarray, ...]) -> np.ndarray:
        with torch.no_grad():
            return compiled(*map(torch.from_numpy, sample)).numpy()

    return run


if __name__ == "__main__":
    work(_deploy, _load)
