"""Puts an application together and writes it into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.bundles import read_bundle
from edgeopt.codegen.c_source import c_project
from edgeopt.codegen.facts import LANGUAGES, facts_of
from edgeopt.codegen.kotlin_source import kotlin_project
from edgeopt.codegen.python_source import python_project
from edgeopt.codegen.templates import filled
from edgeopt.errors import InputError
from edgeopt.files import replacing
from edgeopt.registry.plugins import find_backend

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.codegen.facts import Facts
    from edgeopt.contracts import CallSource

__all__ = ["Project", "application", "write_application"]


@dataclass(frozen=True)
class Project:
    """An application's source.

    Attributes:
        language: ``c``, ``cpp``, ``python`` or ``kotlin``.
        files: Path to content.
        notes: What a person should know.
    """

    language: str
    files: dict[str, bytes]
    notes: tuple[str, ...]


def application(bundle: Bundle | Path | str, language: str, *, program: int = 0) -> Project:
    """Returns an application around one program of a bundle.

    Args:
        bundle: The bundle, or its folder or .zip.
        language: ``c``, ``cpp``, ``python`` or ``kotlin``.
        program: Number of the program; the first is 0.

    Raises:
        InputError: There is no such program, or its backend is not called from that language.
        PluginError: The backend is not installed.
    """
    if language not in LANGUAGES:
        what = f"expected one of {', '.join(LANGUAGES)}, got {language!r}"
        raise InputError(what, where="--lang")
    loaded = read_bundle(bundle) if isinstance(bundle, (str, Path)) else bundle
    facts = facts_of(loaded, program)
    artifact = loaded.artifact(program)
    names = tuple(artifact.files)
    notes = facts.notes
    copied: dict[str, bytes] = {}
    if language == "python":
        texts, copied = python_project(facts)
        notes = tuple(note for note in notes if "Python only" not in note and "run.py" not in note)
    else:
        call = _call(facts, language)
        texts = (
            kotlin_project(facts, call)
            if language == "kotlin"
            else c_project(facts, call, language)
        )
        names, notes = call.model_files or names, (*notes, *call.notes)
    model = {f"model/{name}": artifact.files[name] for name in names if name in artifact.files}
    if language != "kotlin":
        copied |= _golden(facts)
    texts["README.md"] = filled(f"readme_{language}.md", name=facts.name, notes=_paragraphs(notes))
    written = {name: text.encode() for name, text in texts.items()}
    return Project(language, {**copied, **model, **written}, notes)


def write_application(
    bundle: Bundle | Path | str, language: str, folder: Path | str, *, program: int = 0
) -> Project:
    """Returns what `application` makes, after writing it into ``folder``, which must be new or empty.

    Raises:
        InputError: There is something in ``folder`` already, or it cannot be written.
    """
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        hint = "pass another folder, or empty it first"
        raise InputError("there is something already", where=str(place), hint=hint)
    project = application(bundle, language, program=program)
    try:
        with replacing(place) as draft:
            for name, content in sorted(project.files.items()):
                path = draft / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(place)) from error
    return project


def _call(facts: Facts, language: str) -> CallSource:
    """Returns how the backend's model is called.

    Raises:
        InputError: It is not called from that language.
    """
    backend = find_backend(facts.manifest.backend)
    maker = getattr(backend, "application", None)
    artifact = facts.bundle.artifact(facts.number)
    call: CallSource | None = None if maker is None else maker(artifact, language)
    if call is None:
        known = ["python"]
        for one in (one for one in LANGUAGES if one not in {"python", language}):
            known += [one] if maker is not None and maker(artifact, one) is not None else []
        what = f"a bundle of the backend {facts.manifest.backend} is not called from {language}"
        raise InputError(what, where="--lang", hint=f"--lang {' or '.join(known)}")
    return call


def _golden(facts: Facts) -> dict[str, bytes]:
    golden = facts.own.golden
    samples = golden.samples if golden is not None else ()
    names = {name for sample in samples for name in (*sample.inputs, *sample.outputs)}
    return {name: facts.bundle.read(name) for name in sorted(names)}


def _paragraphs(notes: tuple[str, ...]) -> str:
    return "\n\n".join(notes)
