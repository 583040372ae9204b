"""A work folder: the result of each finished step, so that a killed run repeats none. No pickle.

    run.json            what is being done: recipe, model, target; and the model's figures at first
    steps/00-prune/     a finished step: record.json, and module/ (structure and safetensors) or
                        program.zip
    steps/01-distill.part/   the step that is at work: its checkpoints
    lock                held while a run works here

A step's folder gets its name when all of it is written.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import EdgeoptError, InputError
from edgeopt.files import Busy, drafts, locked, replacing, sweep, write_file
from edgeopt.ir import Program, load_program, save_program
from edgeopt.pruning.structure import changes, load_pruned, save_module
from edgeopt.recipes.execute import Scratch, State
from edgeopt.recipes.result import Figures, StepRecord
from edgeopt.recipes.steps import plain, step_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from edgeopt.recipes.recipe import Recipe

__all__ = ["Work", "model_digest"]

FORMAT = 1
_MAX_RECORD = 64 << 20


class _Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a folder is for."""

    format: int
    model: str
    target: str
    teacher: str
    steps: tuple[dict[str, Any], ...]
    start: Figures | None = None


class _Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    record: StepRecord
    sha256: dict[str, str]


class Work:
    """One work folder.

    Args:
        path: The folder; it may be missing.
        recipe: What is carried out.
        model: The model as it was given: a module or a Program.
        target: Name of the device, or nothing.
        teacher: The teacher that was given, or None.
    """

    def __init__(
        self, path: Path | str, recipe: Recipe, model: Any, *, target: str, teacher: Any
    ) -> None:
        self.path, self.recipe, self.model = Path(path), recipe, model
        self.run = _Run(
            FORMAT,
            model_digest(model),
            target,
            "" if teacher is None else model_digest(teacher),
            tuple(plain(recipe.steps)),
        )

    @contextmanager
    def held(self, *, resume: bool) -> Iterator[None]:
        """Holds the folder for one run; it then is of this recipe and this model.

        Raises:
            InputError: Another run works there, or it belongs to another recipe or model.
        """
        where = str(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError("there is a file", where=where, hint="name a folder as work")
        if self.path.exists() and not (self.path / "run.json").exists() and _holds_more(self.path):
            raise InputError("holds something else", where=where, hint="name an empty folder")
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.path / "lock", wait_s=0):
                self._begin(resume=resume)
                yield
        except Busy as error:
            hint = "wait for it, or name another folder"
            raise InputError("another run is at work there", where=where, hint=hint) from error

    def start(self) -> Figures | None:
        """Returns the model's figures at first, None where no run has measured them."""
        return self.run.start

    def keep_start(self, start: Figures) -> None:
        """Keeps the model's figures at first."""
        self.run = msgspec.structs.replace(self.run, start=start)
        _write(self.path / "run.json", self.run)

    def finished(self, place: int, state: State) -> tuple[State, StepRecord] | None:
        """Returns state and record after the step at ``place``, None where it is not finished.

        Raises:
            InputError: What was kept is damaged.
        """
        folder = self._folder(place)
        if not folder.is_dir():
            return None
        entry = self._read(folder / "record.json", _Done)
        for name, digest in entry.sha256.items():
            file = folder / name
            if ".." in Path(name).parts or not file.is_file() or _digest(file) != digest:
                raise _damaged(folder, f"{name} has changed")
        try:
            if (folder / "program.zip").is_file():
                state = State(state.module, load_program(folder / "program.zip"))
            else:
                state = State(load_pruned(folder / "module", self.model))
        except EdgeoptError as error:
            raise _damaged(folder, error.what) from error
        shutil.rmtree(self._draft(place), ignore_errors=True)  # killed between naming and clearing
        return state, msgspec.structs.replace(entry.record, resumed=True)

    def scratch(self, place: int, module: torch.nn.Module | None) -> Scratch:
        """Returns where the step at ``place`` keeps what it needs to go on."""
        draft = self._draft(place)
        draft.mkdir(parents=True, exist_ok=True)
        rounds = None if module is None else _Rounds(draft, module)
        return Scratch(lambda name: draft / f"checkpoint-{name}", rounds)

    def keep(self, place: int, state: State, record: StepRecord) -> None:
        """Keeps the result of the step at ``place``, whole or not at all."""
        with replacing(self._folder(place)) as result:
            result.mkdir()
            if state.program is not None:
                save_program(state.program, result / "program.zip")
            elif state.module is not None:
                save_module(state.module, changes(self.model, state.module), result / "module")
            files = sorted(p for p in result.rglob("*") if p.is_file())
            digests = {str(p.relative_to(result)): _digest(p) for p in files}
            _write(result / "record.json", _Done(record, digests))
        shutil.rmtree(self._draft(place), ignore_errors=True)

    def _begin(self, *, resume: bool) -> None:
        for folder in (self.path, self.path / "steps"):
            sweep(folder)  # what is finished nobody writes again, which would sweep its drafts
        file = self.path / "run.json"
        if file.exists() and resume:
            run = self._read(file, _Run)
            _require_same(run, self.run, str(self.path))
            self.run = run
            return
        shutil.rmtree(self.path / "steps", ignore_errors=True)
        _write(file, self.run)

    def _folder(self, place: int) -> Path:
        return self.path / "steps" / f"{place:02d}-{step_name(self.recipe.steps[place])}"

    def _draft(self, place: int) -> Path:
        folder = self._folder(place)
        return folder.with_name(f"{folder.name}.part")

    def _read(self, file: Path, kind: type[Any]) -> Any:
        try:
            return decode_json(read_file(file, most=_MAX_RECORD), kind, where=str(file))
        except InputError as error:
            raise _damaged(file, error.what) from error


class _Rounds:
    """Keeps the module after each of several steps of pruning."""

    def __init__(self, folder: Path, module: torch.nn.Module) -> None:
        self._folder, self._module = folder, module

    def start(self) -> tuple[int, torch.nn.Module] | None:
        folders = [p for p in self._folder.glob("after-*") if p.name[6:].isdigit()]
        if not folders:
            return None
        last = max(folders, key=lambda p: int(p.name[6:]))
        return int(last.name[6:]), load_pruned(last, self._module)

    def keep(self, module: torch.nn.Module, step: int) -> None:
        with replacing(self._folder / f"after-{step}") as new:
            save_module(module, changes(self._module, module), new)
        for old in (f"after-{step - 1}", f"checkpoint-round-{step}"):
            shutil.rmtree(self._folder / old, ignore_errors=True)


def _holds_more(path: Path) -> bool:
    """Returns whether a folder holds more than what a run leaves that was killed as it began."""
    left = {"lock", *(draft.name for draft in drafts(path, "run.json"))}
    return any(entry.name not in left for entry in path.iterdir())


def model_digest(model: Any) -> str:
    """Returns SHA-256 over a Program, or over a module's class, structure and weights."""
    if isinstance(model, Program):
        return model.digest
    total = hashlib.sha256(f"{type(model).__module__}.{type(model).__qualname__}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
        total.update(_raw(plain))
    return total.hexdigest()


def _raw(tensor: torch.Tensor) -> bytes:
    import torch  # noqa: PLC0415 (this module must stay importable without torch)

    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _require_same(held: _Run, wanted: _Run, where: str) -> None:
    hint = "pass another folder as work, or resume=False to begin anew in this one"
    if held.format != wanted.format:
        raise InputError(f"format {held.format} is not known", where=where, hint="update edgeopt")
    for what in ("model", "teacher", "target"):
        if getattr(held, what) != getattr(wanted, what):
            raise InputError(f"was begun with another {what}", where=where, hint=hint)
    for place, (old, new) in enumerate(zip(held.steps, wanted.steps, strict=False)):
        path = _difference(old, new)
        if path:
            here = f"steps[{place}].{'.'.join(path)}"
            what = f"was begun with {here} = {_at(old, path)!r}, not {_at(new, path)!r}"
            raise InputError(what, where=where, hint=hint)
    if len(held.steps) != len(wanted.steps):
        what = f"was begun with {len(held.steps)} steps, not {len(wanted.steps)}"
        raise InputError(what, where=where, hint=hint)


def _difference(old: Any, new: Any) -> list[str]:
    """Returns where two tables differ first, by their keys; nothing where they are equal."""
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if a != b:
            inside = isinstance(a, dict) and isinstance(b, dict)
            return [name, *(_difference(a, b) if inside else [])]
    return []


def _at(table: Any, path: list[str]) -> Any:
    for name in path:
        table = table.get(name)
    return table


def _damaged(place: Path, what: str) -> InputError:
    hint = "delete that folder: the step is then done again; or pass resume=False"
    return InputError(f"damaged: {what}", where=str(place), hint=hint)


def _write(file: Path, value: Any) -> None:
    write_file(file, msgspec.json.format(msgspec.json.encode(value)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
