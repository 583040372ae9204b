"""ONNX Runtime as a backend of edgeopt."""

from importlib import resources

from edgeopt.contracts import DeviceRuntime
from edgeopt.lowering import ModelFiles, Release, RuleBackend, find_wheels

RELEASES = [
    Release("onnxruntime", "1.32.0", {"aarch64": (2, 28), "x86_64": (2, 28)}, {"3.11": "2.4.6"})
]


class OnnxRuntimeBackend(RuleBackend):
    """Compiles programs to ONNX files."""

    name = "onnxruntime"
    runtime = "ONNX Runtime"
    distribution = "edgeopt-onnxruntime"
    toolchain = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
    saturates = True

    def passes(self, target):
        return ("decompose_attention",)

    def emitter(self, program, target):
        from edgeopt_onnxruntime.emitter import Emitter

        return Emitter(program)

    def write(self, lowered, options):
        model = lowered.model
        files = {"model.onnx": model.model.SerializeToString(deterministic=True)}
        return ModelFiles("model.onnx", files, operators=model.counts)

    def device_model(self):
        from edgeopt_onnxruntime.runtime import Model

        return Model

    def device_runtime(self, target):
        source = resources.files("edgeopt_onnxruntime").joinpath("runtime.py").read_text("utf-8")
        wheels = find_wheels(target, RELEASES, runtime=self.runtime)
        return DeviceRuntime(self.runtime, wheels, source)
