"""The kernels that carry the time: convolutions and matrix products, and how all are scheduled.

Activations are channels-last: (batch, rows, columns, channels), or (..., features) for matrix products.
An anchor returns raw sums, float32 or int32; bias, activation and requantization are element-wise
operators behind it, which fusion joins to it.
"""

from edgeopt_tvm.kernels.convolution import Window, convolution
from edgeopt_tvm.kernels.products import dense, matmul
from edgeopt_tvm.kernels.recurrence import Recurrence
from edgeopt_tvm.kernels.schedule import VERSION, configurations, scheduled, tunable

__all__ = [
    "VERSION",
    "Recurrence",
    "Window",
    "configurations",
    "convolution",
    "dense",
    "matmul",
    "scheduled",
    "tunable",
]
