"""Single operators, imported once however often they stand in a program."""

from __future__ import annotations

import pytest
import torch

from edgeopt.lowering import NoRuleError
from edgeopt.lowering.frontend import OperatorImporter, SingleOperator, require_same


def calls(program, word):
    return [n for n in program.graph.nodes if word in str(n.target)]


@pytest.mark.parametrize(
    ("function", "inputs", "word", "times"),
    [
        (lambda x: x.cumsum(1).cumsum(1), (torch.ones(2, 3),), "cumsum", 1),
        (lambda x: x.cumsum(1).cumsum(0), (torch.ones(2, 3),), "cumsum", 2),
        (lambda x, y: x.cumsum(0).sum() + y.cumsum(0), (torch.ones(2), torch.ones(3)), "cumsum", 2),
        (lambda x, y: (torch.atan2(x, x), torch.atan2(x, y)), (torch.ones(2), torch.zeros(2)), "atan2", 2),
        (lambda x, y: (torch.atan2(x, y), torch.atan2(y, x)), (torch.ones(2), torch.zeros(2)), "atan2", 1),
        (lambda x: (x.cumsum(0), x.to(torch.int64).cumsum(0)), (torch.ones(2),), "cumsum", 2),
        (lambda x: (torch.atan2(x, torch.ones(2)), torch.atan2(x, torch.full((2,), 2.0))),
         (torch.ones(2),), "atan2", 2),
    ],
)  # fmt: skip
def test_equal_operators_are_imported_once(program_of, function, inputs, word, times):
    program = program_of(function, *inputs)
    nodes = calls(program, word)
    assert len(nodes) == 2
    made = []
    importer = OperatorImporter("Words", lambda operator: made.append(operator) or len(made))
    found = [importer(program, node) for node in nodes]
    assert len(made) == times
    assert [inputs for _, inputs in found] == [SingleOperator(program, n).inputs for n in nodes]


def test_a_single_operator_computes_what_the_program_does(program_of):
    program = program_of(lambda x: torch.atan2(x, torch.full((2,), 2.0)), torch.ones(2))
    (node,) = calls(program, "atan2")
    operator = SingleOperator(program, node)
    x = torch.tensor([1.0, -3.0])
    torch.testing.assert_close(operator(x), torch.atan2(x, torch.full((2,), 2.0)))
    exported = operator.exported().module()
    torch.testing.assert_close(exported(x), operator(x))


def test_what_an_importer_cannot_is_tried_once_and_said_each_time(program_of):
    program = program_of(lambda x: x.cumsum(0).cumsum(0), torch.ones(2))
    tries = []

    def convert(operator):
        tries.append(operator)
        raise RuntimeError("a page\nNo conversion rule for it\nand more of the page")

    importer = OperatorImporter("Words", convert)
    for node in calls(program, "cumsum"):
        with pytest.raises(NoRuleError, match="Words has no rule for it: No conversion rule"):
            importer(program, node)
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        (lambda x: [x.cumsum(0)], False),
        (lambda x: [x], True),
        (lambda x: [x.cumsum(0)[None]], True),
        (lambda x: [x.cumsum(0).astype("int32")], True),
    ],
)
def test_what_an_importer_made_is_run_beside_torch(program_of, made, refused):
    program = program_of(lambda x: x.cumsum(0), torch.arange(1, 5))
    operator = SingleOperator(program, calls(program, "cumsum")[0])
    if refused:
        with pytest.raises(NoRuleError, match="Words's rule for it computes something else"):
            require_same(operator, made, "Words")
    else:
        require_same(operator, made, "Words")
