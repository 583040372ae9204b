"""Several processes that write one bundle at once: each gets its own, or is told in plain words."""

from __future__ import annotations

import multiprocessing

import pytest

from edgeopt.bundles import read_bundle, write_bundle
from edgeopt.errors import InputError
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target


def publish(path, number, overwrite, queue):
    artifact = toy_artifact(factor=float(number))
    parts = (artifact, toy_runtime(), toy_target())
    for _ in range(4):
        try:
            bundle = write_bundle(
                *parts, path=path, golden=toy_golden(artifact), overwrite=overwrite
            )
            queue.put((number, bundle.path == path and bundle.manifest.entry, ""))
        except InputError as error:
            queue.put((number, "refused", error.what))
        except BaseException as error:  # noqa: BLE001 (it is what is looked for)
            queue.put((number, "raw", repr(error)))


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_many_at_once(tmp_path, name, overwrite):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    path = tmp_path / name
    workers = [
        context.Process(target=publish, args=(path, number, overwrite, queue))
        for number in range(6)
    ]
    for worker in workers:
        worker.start()
    said = [queue.get(timeout=120) for _ in range(24)]
    for worker in workers:
        worker.join()
    words = {(word, what) for _, word, what in said}
    assert {word for word, _ in words} == (
        {"model/model.json"} if overwrite else {"refused", "model/model.json"}
    )
    assert {what for _, what in words} <= {"", "something lies there already"}
    assert sum(word != "refused" for _, word, _ in said) == (24 if overwrite else 1)
    read_bundle(path).golden()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
