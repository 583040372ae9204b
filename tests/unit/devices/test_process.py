from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgeopt.devices import process as module
from edgeopt.devices.process import run_process, words
from edgeopt.errors import DeviceError


def run(tmp_path, *argv, timeout_s=60.0):
    return run_process(argv, cwd=tmp_path, env=os.environ, timeout_s=timeout_s, where="here")


def test_a_time_limit_is_kept_and_names_the_last_words(tmp_path):
    begun = time.perf_counter()
    with pytest.raises(DeviceError) as caught:
        run(tmp_path, "sh", "-c", "echo working on it >&2; sleep 60", timeout_s=0.4)
    assert 0.4 <= time.perf_counter() - begun < 10
    assert "0.4 s" in caught.value.what
    assert "working on it" in str(caught.value.hint)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_no_time_is_no_time(tmp_path, timeout_s):
    with pytest.raises(DeviceError, match="was ended"):
        run(tmp_path, "sleep", "60", timeout_s=timeout_s)


def test_time_without_end(tmp_path):
    assert run(tmp_path, "true", timeout_s=float("inf")).returncode == 0


def test_it_works_without_pidfd(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert run(tmp_path, "sh", "-c", "exit 3").returncode == 3
    with pytest.raises(DeviceError, match="was ended"):
        run(tmp_path, "sleep", "60", timeout_s=0.3)


def test_children_end_with_it(tmp_path):
    run(tmp_path, "sh", "-c", "sleep 4321 & echo $! > pid")
    pid = int((tmp_path / "pid").read_text())
    assert _ends(pid)


def test_children_end_when_the_wait_is_interrupted(tmp_path):
    code = f"""
import os, pathlib, signal, threading
from edgeopt.devices.process import run_process
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
run_process(["sh", "-c", "echo $$ > pid; sleep 4321"], cwd=pathlib.Path({str(tmp_path)!r}),
            env=os.environ, timeout_s=60, where="here")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert "KeyboardInterrupt" in done.stderr
    assert _ends(int((tmp_path / "pid").read_text()))


def test_a_child_that_keeps_the_output_open_holds_nothing_up(tmp_path):
    begun = time.perf_counter()
    assert run(tmp_path, "sh", "-c", "sleep 4321 & echo done").stdout == "done\n"
    assert time.perf_counter() - begun < 10


def test_endless_output_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTPUT", 1000)
    done = run(tmp_path, sys.executable, "-c", "print('x' * 5000)")
    assert done.stdout.startswith("x" * 1000)
    assert "4001 bytes left out" in done.stdout


def test_threads_can_run_at_once(tmp_path):
    results = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(run(tmp_path, "echo", str(n)).stdout), daemon=True
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [f"{n}\n" for n in range(8)]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["no-such-program-xyz"], "No such file"),
        (["/etc/passwd"], "Permission denied"),
        (["echo", "a\0b"], "null byte"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path, argv, reason):
    with pytest.raises(DeviceError, match=reason):
        run(tmp_path, *argv)


def test_a_long_command_is_cut_in_messages():
    assert len(words(["x" * 1000])) < 210
    assert words(["a", "b\nc"]) == "a b c"


def _ends(pid):
    """Returns whether a process, which was killed, is soon gone."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] in {"Z", "X"}:
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_flood_fills_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeopt.devices.process.MAX_OUTPUT", 1 << 20)
    largest = []
    real = module._Stream.cut

    def cut(stream):
        real(stream)
        largest.append(os.fstat(stream.file.fileno()).st_size)

    monkeypatch.setattr(module._Stream, "cut", cut)
    code = "import sys\nfor _ in range(400): sys.stdout.write('x' * (1 << 20))\nprint('end')"
    argv = [sys.executable, "-c", code]
    done = run_process(argv, cwd=tmp_path, env=os.environ, timeout_s=120, where="here")
    assert done.stdout.startswith("x" * 1000)
    assert done.stdout.endswith("bytes left out]\n")
    assert len(done.stdout) < (1 << 20) + 100
    assert largest
    assert min(largest) <= 2 << 20
