"""ultralytics: what ``YOLO("yolo11n.yaml").model.eval()`` is, as its users pass it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _any_model.entry import Catalogue, images, sampled

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["entries"]

_VERSIONS = ("yolov5", "yolov8", "yolo11", "yolo12", "yolo26")
_TASKS = ("", "-seg", "-pose", "-cls", "-obb")
_OTHERS = (
    *("yolov3-tiny", "yolov6n", "yolov9t", "yolov9s", "yolov10n", "yolov10s"),
    *("yolov8n-p2", "yolov8n-ghost", "yolov8s-worldv2", "yolov9c-seg"),
)


def entries() -> list[Entry]:
    """Returns the models."""
    from _any_model.packages import make_importable  # noqa: PLC0415

    make_importable()
    found = Catalogue("ultralytics")
    for version in _VERSIONS:
        for task in _TASKS if version != "yolov5" else ("",):
            sizes = "ns" if task in ("", "-seg") else "n"
            for size in sizes:
                name = f"{version}{size}{task}"
                found.add(name, _yolo(name), sampled(images(3, 320, 320)))
    for name in _OTHERS:
        found.add(name, _yolo(name), sampled(images(3, 320, 320)))
    found.add("yolo11n-640", _yolo("yolo11n"), sampled(images(3, 640, 640)))
    found.add("yolov8n-640", _yolo("yolov8n"), sampled(images(3, 640, 640)))
    found.add("rtdetr-resnet50", _transformer("rtdetr-resnet50"), sampled(images(3, 320, 320)))
    found.add("rtdetr-l", _transformer("rtdetr-l"), sampled(images(3, 320, 320)))
    return found.entries


def _yolo(name: str) -> Any:
    def make() -> Any:
        from ultralytics import YOLO  # noqa: PLC0415 (an optional package)

        return YOLO(f"{name}.yaml").model.eval()

    return make


def _transformer(name: str) -> Any:
    def make() -> Any:
        from ultralytics import RTDETR  # noqa: PLC0415 (an optional package)

        return RTDETR(f"{name}.yaml").model.eval()

    return make
