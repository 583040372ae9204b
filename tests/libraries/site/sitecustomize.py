"""Lets torchvision import beside a torch of another build: its extension does not load there.

What that would register is declared; no model that is tested here calls it.
"""

import torch

LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
