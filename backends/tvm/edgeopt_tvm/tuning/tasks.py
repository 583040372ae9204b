"""The kernels of a program that there is something to tune on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt_tvm.tuning.workload import bare, key_of

if TYPE_CHECKING:
    from edgeopt.tuning import Key
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning.templates import Templates

__all__ = ["Task", "task_of", "tasks_of"]


@dataclass(frozen=True)
class Task:
    """One kernel, however often the program runs it.

    Attributes:
        key: Under which its trials are kept.
        name: What a person calls it.
        text: The PrimFunc, unscheduled, as TVM's JSON.
        outputs: How many of its last parameters are written.
        count: How often the program runs it.
    """

    key: Key
    name: str
    text: str
    outputs: int = 1
    count: int = 1


def task_of(  # noqa: PLR0913 (what a task is made of)
    function: Any,
    machine: Machine,
    templates: Templates,
    *,
    name: str = "kernel",
    outputs: int = 1,
    count: int = 1,
    device: str = "",
) -> Task:
    """Returns the task of one PrimFunc."""
    import tvm  # noqa: PLC0415 (the toolchain)

    key = key_of(function, machine, templates, device=device)
    return Task(key, name, tvm.ir.save_json(bare(function)), outputs, count)


def tasks_of(
    executable: Executable, machine: Machine, templates: Templates, *, device: str = ""
) -> list[Task]:
    """Returns one task for each kernel that can be tuned; those that differ in constants are one."""
    tasks: dict[str, Task] = {}
    functions = {variable.name_hint: f for variable, f in executable.module.functions.items()}
    by_kernel: dict[str, Task | None] = {}
    for step in executable.steps:
        if step.kernel not in by_kernel:
            function = functions[step.kernel]
            fit = templates.tunable(function)
            by_kernel[step.kernel] = (
                task_of(
                    function,
                    machine,
                    templates,
                    name=step.kernel,
                    outputs=step.outputs,
                    device=device,
                )
                if fit
                else None
            )
        task = by_kernel[step.kernel]
        if task is not None:
            entry = tasks.get(task.key.workload, task)
            count = entry.count + 1 if task.key.workload in tasks else 1
            tasks[task.key.workload] = Task(entry.key, entry.name, entry.text, entry.outputs, count)
    return list(tasks.values())
