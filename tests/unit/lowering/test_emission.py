"""Rules, the walk, and the report that comes of it."""

from __future__ import annotations

import re

import pytest
import torch

from edgeopt.contracts import Backend
from edgeopt.errors import PluginError, UnsupportedError
from edgeopt.lowering import NoRuleError
from edgeopt.options import CompileOptions
from edgeopt.progress import progress_to
from edgeopt.registry import find_target

aten = torch.ops.aten
X = torch.ones(2, 3)


@pytest.fixture
def lowered(rule, words, program_of):
    """Returns a function: from a function of tensors to what the words' backend writes of it."""
    make_emitter, make_backend = words

    def lower(function, *inputs, **members):
        backend = make_backend(make_emitter(rule, **members))
        assert isinstance(backend, Backend)
        return backend, backend.lower(program_of(function, *(inputs or (X,))), find_target("host"))

    return lower


def reasons(made):
    return {n.operator: n.reason for n in made.support.unsupported}


def test_a_program_is_written_once_and_compiled_of_that(lowered):
    backend, made = lowered(lambda x: (x + x).relu())
    assert made.support.ok
    artifact = backend.compile(made, CompileOptions())
    assert b"relu(add(inputs_0, inputs_0))" in artifact.files["words.txt"]
    assert artifact.program_digest == made.program.digest
    assert set(artifact.tools) == {"edgeopt", "torch"}
    assert backend.compile(made, CompileOptions()) == artifact


def test_an_operator_without_a_rule_is_unsupported_and_all_are_found(lowered):
    backend, made = lowered(lambda x: torch.sinh(torch.cosh(x)).relu())
    assert set(reasons(made)) == {"aten.sinh.default", "aten.cosh.default"}
    assert all("no operator" in reason for reason in reasons(made).values())
    first = made.support.unsupported[0]
    assert re.fullmatch(r"\w+\.py:\d+", first.source)
    with pytest.raises(UnsupportedError, match=re.escape(first.source)) as caught:
        backend.compile(made, CompileOptions())
    assert caught.value.report == made.support


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("of words"), "Words failed on it: of words"),
        (RuntimeError("page\n\nof text\n"), "Words failed on it: of text"),
        (KeyError(), "Words failed on it: KeyError"),
        (NoRuleError("not this one"), "not this one"),
        (AssertionError("should not be"), "Words failed on it: should not be"),
    ],
)
def test_whatever_a_rule_raises_is_the_reason(rule, lowered, error, reason):
    @rule(aten.sin.default)
    def _sine(e, node):
        raise error

    _, made = lowered(lambda x: x.sin().relu())
    assert reasons(made) == {"aten.sin.default": reason}


def test_a_predicate_that_raises_is_a_reason_too(rule, lowered):
    @rule(aten.sin.default, refusal=lambda e, node: node.args[7])
    def _sine(e, node):
        return "sin"

    _, made = lowered(lambda x: x.sin())
    assert "Words failed on it" in reasons(made)["aten.sin.default"]


def test_rules_are_tried_in_turn(rule, lowered):
    @rule(aten.sin.default, refusal=lambda e, node: "too wide" if e.shape(node) != (2, 3) else "")
    def _narrow(e, node):
        return "narrow sine"

    @rule(aten.sin.default)
    def _odd(e, node):
        if e.dtype(node) != "float32":
            raise NoRuleError("not of doubles")
        return "wide sine"

    assert lowered(lambda x: x.sin())[1].model.value(_last(lowered, X)) == "narrow sine"
    assert lowered(lambda x: x.sin(), torch.ones(9))[1].support.ok
    _, made = lowered(lambda x: x.sin(), torch.ones(9).double())
    assert reasons(made) == {"aten.sin.default": "too wide"}, "the first one's reason"


def _last(lowered, x):
    program = lowered(lambda x: x.sin(), x)[1].program
    return program.node(program.output_names[0])


def test_an_importer_takes_over_what_no_rule_fits(lowered):
    def fallback(self, node):
        if "sinh" in str(node.target):
            return "imported"
        raise NoRuleError("the importer has none")

    _, made = lowered(lambda x: torch.cosh(torch.sinh(x)), fallback=fallback)
    assert reasons(made) == {"aten.cosh.default": "the importer has none"}


def test_types_that_a_toolchain_lacks_are_refused(lowered):
    _, made = lowered(lambda x: x.relu(), X.double(), types=frozenset({"float32"}))
    assert reasons(made) == {"aten.relu.default": "values of type float64 are not supported"}


def test_an_input_that_cannot_be_written_is_in_the_report(lowered):
    def add_input(self, node):
        raise NoRuleError("no inputs here")

    _, made = lowered(lambda x: x.relu(), add_input=add_input)
    assert [(n.operator, n.reason) for n in made.support.unsupported] == [
        ("placeholder", "no inputs here")
    ]


def test_outputs_that_cannot_be_written_are_in_the_report(lowered):
    def finish(self):
        raise RuntimeError("no room")

    _, made = lowered(lambda x: x.relu(), finish=finish)
    assert reasons(made) == {"aten.relu.default": "Words failed on it: no room"}


def test_progress_counts_calls(rule, words, program_of):
    make_emitter, make_backend = words
    seen = []
    with progress_to(lambda *at: seen.append(at)):
        make_backend(make_emitter(rule)).lower(
            program_of(lambda x: (x + x).relu(), X), find_target("host")
        )
    assert seen == [("compile", 1, 2), ("compile", 2, 2)]


def test_a_runtime_that_is_missing_says_what_to_type(lowered):
    backend, made = lowered(lambda x: x.relu())
    with pytest.raises(PluginError, match="Words is not installed"):
        backend.load(backend.compile(made, CompileOptions()))
