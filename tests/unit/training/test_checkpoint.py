"""A folder of checkpoints: always one that is whole, and one run at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
import torch

from edgeopt.errors import InputError
from edgeopt.files import atomic
from edgeopt.training.checkpoint import Checkpoint, hold_folder, read_checkpoint, write_checkpoint

pytestmark = pytest.mark.slow

DIES = """
import os, signal, sys
from pathlib import Path
import torch
from edgeopt.training.checkpoint import Checkpoint, write_checkpoint
folder, event, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = 0

def watch(name, args):
    global count
    if name == event and (name != "open" or folder.name in str(args[0])):
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
write_checkpoint(folder, "1", Checkpoint({"n": 2}, {"model": {"w": torch.full((3,), 2.0)}}))
"""


def checkpoint(n):
    return Checkpoint({"n": n}, {"model": {"w": torch.full((3,), float(n))}})


@pytest.mark.parametrize(
    ("event", "number"),
    [("open", 1), ("open", 4), ("open", 7), ("os.rename", 1), ("os.rename", 2), ("os.remove", 1),
     ("shutil.rmtree", 1), ("shutil.rmtree", 3)],
)  # fmt: skip
def test_a_kill_while_it_is_written_over_its_own_name_leaves_one(tmp_path, event, number):
    folder = tmp_path / "checkpoints"
    write_checkpoint(folder, "1", checkpoint(1))
    command = [sys.executable, "-c", DIES, str(folder), event, str(number)]
    code = subprocess.run(command, check=False).returncode
    assert code in {0, -signal.SIGKILL}
    if number == 1:
        assert code == -signal.SIGKILL
    held = read_checkpoint(folder)
    assert held.state["n"] == held.tensors["model"]["w"][0]
    assert held.state["n"] in ({1, 2} if code else {2})
    write_checkpoint(folder, "1", checkpoint(3))
    assert read_checkpoint(folder).state == {"n": 3}
    names = sorted(path.name for path in folder.iterdir())
    assert names[0] == "latest.json"
    assert len(names) == 2


def test_all_of_it_is_synced_before_it_is_named(tmp_path, monkeypatch):
    seen = []
    sync = os.fsync

    def fsync(handle):
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))  # noqa: PTH115, PTH119
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    put = atomic.put
    monkeypatch.setattr(
        atomic, "put", lambda new, path, **more: (seen.append(path.name), put(new, path, **more))
    )
    write_checkpoint(tmp_path, "1", checkpoint(1))
    named = seen.index("step-1")
    assert {"model.safetensors", "state.json"} <= set(seen[:named])
    assert seen.index("latest.json") > named


def test_a_full_disk_is_said_in_our_words(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, "1", checkpoint(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_checkpoint(tmp_path, "2", checkpoint(2))
    assert read_checkpoint(tmp_path).state == {"n": 1}


def hold(folder, queue, event):
    try:
        with hold_folder(folder):
            queue.put("held")
            event.wait(60)
    except InputError as error:
        queue.put(error.what)


def test_of_eight_runs_in_one_folder_seven_are_told(tmp_path):
    context = multiprocessing.get_context("fork")
    queue, event = context.Queue(), context.Event()
    runs = [context.Process(target=hold, args=(tmp_path, queue, event)) for _ in range(8)]
    for run in runs:
        run.start()
    said = sorted(queue.get(timeout=60) for _ in runs)
    event.set()
    for run in runs:
        run.join()
    assert said == ["another run writes its checkpoints there"] * 7 + ["held"]
    with hold_folder(tmp_path):
        pass


def test_a_draft_of_a_run_that_was_killed_as_it_ended_is_swept(tmp_path):
    write_checkpoint(tmp_path, "1", checkpoint(1))
    draft = tmp_path / ".latest.json.x7oaak3r.draft"
    draft.mkdir()
    (draft / "new").write_text("{}")
    with hold_folder(tmp_path):
        assert not draft.exists()
    assert read_checkpoint(tmp_path) is not None


@pytest.mark.parametrize("kind", ["pipe", "holes", "link to a pipe"])
@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, name, kind):
    folder = tmp_path / "checkpoints"
    write_checkpoint(folder, "1", checkpoint(1))
    path = folder / "step-1" / name
    path.unlink()
    if kind == "holes":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"plain file|holes|more than"):
        read_checkpoint(folder)
