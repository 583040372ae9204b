"""What compiled kernels call: threads, scratch memory, errors. The kernels are in C."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt_tvm.device.runtime import Model

X = np.arange(8, dtype=np.int32)


def run(path, threads):
    (y,) = Model(str(path), {}, threads)(X)
    return y.tolist()


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("tasks", [0, 1, 3, 8])
def test_every_task_runs_once(from_c, threads, tasks):
    path = from_c(
        """
        static int part(int index, struct group *group, void *data) {
          for (int i = index; i < 8; i += group->tasks) __atomic_fetch_add((int *)data + i, 1, 5);
          return 0;
        }
        KERNEL {
          for (int i = 0; i < 8; i++) DATA(1)[i] = DATA(0)[i];
          return TVMBackendParallelLaunch(part, DATA(1), TASKS);
        }
        """.replace("TASKS", str(tasks))
    )
    assert run(path, threads) == (X + 1).tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_loop_within_a_task_runs_there(from_c, threads):
    path = from_c(
        """
        static int inner(int index, struct group *group, void *data) {
          for (int i = index; i < 4; i += group->tasks) ((int *)data)[i] += 1;
          return 0;
        }
        static int outer(int index, struct group *group, void *data) {
          for (int i = index; i < 2; i += group->tasks)
            if (TVMBackendParallelLaunch(inner, (int *)data + 4 * i, 0)) return -1;
          return 0;
        }
        KERNEL {
          for (int i = 0; i < 8; i++) DATA(1)[i] = DATA(0)[i];
          return TVMBackendParallelLaunch(outer, DATA(1), 0);
        }
        """
    )
    assert run(path, threads) == (X + 1).tolist()


def test_a_barrier_is_refused_where_tasks_do_not_all_run_at_once(from_c):
    path = from_c(
        """
        static int part(int index, struct group *group, void *data) {
          (void)data;
          return TVMBackendParallelBarrier(index, group);
        }
        KERNEL {
          return TVMBackendParallelLaunch(part, DATA(1), 0);
        }
        """
    )
    with pytest.raises(RuntimeError):
        run(path, 3)


def test_a_thread_that_is_held_up_holds_nobody_up(from_c):
    path = from_c(
        """
        #include <unistd.h>
        static int part(int index, struct group *group, void *data) {
          if (index == group->tasks - 1) usleep(200000);
          __atomic_fetch_add((int *)data + (index == 0 ? 0 : 1), 1, 5);
          return 0;
        }
        KERNEL {
          for (int i = 0; i < 8; i++) DATA(1)[i] = 0;
          for (int i = 0; i < 3; i++)
            if (TVMBackendParallelLaunch(part, DATA(1), 0)) return -1;
          return 0;
        }
        """
    )
    counts = run(path, 4)
    assert counts[0] == 3  # every loop's tasks ran once each, late ones in their own loop
    assert counts[1] % 3 == 0
    assert counts[1] >= 9


def test_scratch_memory_is_a_threads_own_and_aligned(from_c):
    path = from_c(
        """
        static int part(int index, struct group *group, void *data) {
          char *held[4];
          for (int i = 0; i < 4; i++) {
            held[i] = TVMBackendAllocWorkspace(1, 0, 1000u << i, 0, 8);
            if (!held[i] || (uintptr_t)held[i] % 64) return -1;
            __builtin_memset(held[i], index + i, 1000u << i);
          }
          for (int i = 3; i >= 0; i--) {
            for (unsigned j = 0; j < 1000u << i; j++) if (held[i][j] != index + i) return -1;
            if (TVMBackendFreeWorkspace(1, 0, held[i])) return -1;
          }
          return TVMBackendFreeWorkspace(1, 0, held[0]) ? 0 : -1;  /* twice is an error */
        }
        KERNEL {
          for (int i = 0; i < 8; i++) DATA(1)[i] = DATA(0)[i];
          for (int i = 0; i < 50; i++) if (TVMBackendParallelLaunch(part, 0, 0)) return -1;
          return 0;
        }
        """
    )
    assert run(path, 2) == X.tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_task_comes_back_with_its_words(from_c, threads):
    path = from_c(
        """
        static int part(int index, struct group *group, void *data) {
          if (index != group->tasks - 1) return 0;
          const char *words[] = {"no ", 0, "luck"};
          TVMFFIErrorSetRaisedFromCStrParts("ValueError", words, 3);
          return -1;
        }
        KERNEL {
          for (int i = 0; i < 8; i++) DATA(1)[i] = DATA(0)[i];
          return DATA(0)[0] < 0 ? TVMBackendParallelLaunch(part, 0, 0) : 0;
        }
        """
    )
    model = Model(str(path), {}, threads)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="step 0, kernel toy: ValueError: no luck"):
            model(X - 1)
        assert model(X)[0].tolist() == X.tolist()  # and it goes on


def test_an_error_without_words_names_the_kernel(from_c):
    path = from_c("KERNEL { return -1; }")
    with pytest.raises(RuntimeError, match="kernel toy: it failed and gave no reason"):
        run(path, 1)


def test_a_long_message_is_cut(from_c):
    path = from_c(
        """
        static char words[5000];
        KERNEL {
          for (int i = 0; i < 4999; i++) words[i] = 'x';
          const char *parts[] = {words};
          TVMFFIErrorSetRaisedFromCStrParts("E", parts, 1);
          return -1;
        }
        """
    )
    with pytest.raises(RuntimeError, match=r"E: x{1000}"):
        run(path, 1)
