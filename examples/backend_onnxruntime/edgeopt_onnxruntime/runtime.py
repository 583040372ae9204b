"""Runs an ONNX file. Goes onto the device; needs only numpy beside the runtime; Python 3.9."""

import numpy as np
import onnxruntime


class Model:
    def __init__(self, path, metadata, threads=0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Its own integer kernels would round elsewhere than the program says.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._names = [i.name for i in self._session.get_inputs()]

    def __call__(self, *inputs):
        arrays = (np.asarray(array, order="C") for array in inputs)
        return self._session.run(None, dict(zip(self._names, arrays)))

    def facts(self):
        return {"name": "ONNX Runtime", "version": onnxruntime.__version__}
