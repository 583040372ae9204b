"""Where a rounding enlarges last bits: parity noise beside quantization noise, and who is to blame."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgeopt.gate.exactness import Exactness, OperatorExactness
from edgeopt.gate.float_program import float_program
from edgeopt.gate.parity import OutputNoise, check_parity, run_all, with_operators
from edgeopt.ir import ReferenceRunner
from edgeopt.options import ParityLimits
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target
from edgeopt.testing.specimens import program_of, specimen


def samples(name):
    return [tuple(t.numpy() for t in s) for s in specimen(name).samples[:4]]


STRICT = ParityLimits(min_cosine=1.0, min_cosine_sample=1.0, min_snr_db=70.0)
"""The specimens are shallow: what depth does to a deep network is asked of them by these."""


def parity(name, share):
    """Parity of a runtime whose outputs differ by ``share`` of the amplitude of the rounding's own."""
    program, given = program_of(name, "int8"), samples(name)
    reference = run_all(ReferenceRunner(program), given)
    unrounded = run_all(ReferenceRunner(float_program(program)), given)
    noise, drawn = iter(range(len(given))), np.random.default_rng(0)

    def run(*_):
        at = next(noise)
        return tuple(
            want + share * np.std(want - real) * drawn.normal(size=want.shape).astype(np.float32)
            for want, real in zip(reference[at], unrounded[at], strict=True)
        )

    found = check_parity(run, program, given, reference, limits=STRICT)
    return found, program, given


def decided(found, program, given):
    return with_operators(found, program, ReferenceBackend(), find_target("host"), given)


@pytest.fixture(scope="module")
def attention():
    return parity("attention", 0.5)


def test_noise_below_that_of_rounding_is_left_to_the_operators(attention):
    found, program, given = attention
    assert not found.ok
    assert found.is_within_noise
    assert "of quantization" in str(found)
    found = decided(found, program, given)
    assert found.ok, found.reasons
    assert found.is_excused
    assert found.operators.operators


def test_it_is_said_where_it_is_not_well_below(attention):
    near = decided(*attention).near_noise
    assert len(near) == 1
    assert "parity noise" in near[0]
    assert not parity("attention", 0.0)[0].near_noise


def test_a_wrong_operator_is_refused_by_name(attention):
    found = attention[0]
    wrong = OperatorExactness("linear_2", "aten.linear", "integer", 100, 3, 1)
    found = msgspec.structs.replace(found, operators=Exactness("there", (wrong,), 2))
    assert not found.ok
    assert any("linear_2" in reason for reason in found.reasons)
    assert any("parity noise" in reason for reason in found.reasons)


def test_noise_above_that_of_rounding_is_refused():
    found, program, given = parity("attention", 1.5)
    assert not found.is_within_noise
    assert decided(found, program, given).operators is None
    assert not found.ok


def test_an_artefact_farther_from_float_than_the_reference_is_refused():
    """Independent noise of 0.9 times the amplitude costs 2.6 dB."""
    assert not parity("attention", 0.9)[0].is_within_noise


def test_integers_have_no_last_bits():
    found, program, given = parity("residual", 1.5)
    assert found.noise == ()
    assert not decided(found, program, given).ok


def test_float_programs_are_not_excused():
    program, given = program_of("attention", "float32"), samples("attention")
    reference = run_all(ReferenceRunner(program), given)
    found = check_parity(lambda *x: ReferenceRunner(program)(*x) * 1.1, program, given, reference)
    assert found.noise == ()
    assert not found.ok


def test_noise_that_last_bits_make_of_the_reference_itself_is_left_to_the_operators():
    found = parity("attention", 1.5)[0]
    noise = found.noise[0]
    near = OutputNoise(noise.output, noise.parity_db, noise.quantization_db, noise.quantization_db)
    shaken = {noise.output: noise.parity_db + 1}
    explained = msgspec.structs.replace(found, noise=(near,), last_bits_db=shaken)
    assert explained.is_within_noise
    assert not explained.is_excused  # not before each operator was looked at
    steady = msgspec.structs.replace(explained, last_bits_db={noise.output: noise.parity_db + 30})
    assert not steady.is_within_noise
    far = OutputNoise(
        noise.output, noise.parity_db, noise.quantization_db, noise.quantization_db - 2
    )
    assert not msgspec.structs.replace(explained, noise=(far,)).is_within_noise
