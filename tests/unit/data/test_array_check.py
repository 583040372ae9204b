"""What a runner is called with is checked quickly, and refused in the words of `check_arrays`."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.data.array_check import ArrayCheck
from edgeopt.data.binder import check_arrays
from edgeopt.errors import InputError

TWO = Signature((TensorSpec("x", (1, 3), "float32"), TensorSpec("n", (), "int64")), ())
X, N = np.ones((1, 3), np.float32), np.array(2)


def test_what_fits_is_let_through():
    check = ArrayCheck(TWO, finite=True)
    assert check.fits((X, N))
    check.require((X, N))
    frozen = X.copy()
    frozen.setflags(write=False)
    check.require((frozen[:, ::-1], N))


@pytest.mark.parametrize(
    "arrays",
    [
        (),
        (X,),
        (X, N, N),
        (X.astype(np.float64), N),
        (X.astype(">f4"), N),
        (X[0], N),
        (X, np.array(2, np.int32)),
        (X.tolist(), N),
        (X, 2),
    ],
)
def test_what_does_not_fit_is_refused_in_the_same_words(arrays):
    check = ArrayCheck(TWO)
    assert not check.fits(arrays)
    with pytest.raises(InputError) as plain:
        check_arrays(TWO, arrays)
    with pytest.raises(InputError) as caught:
        check.require(arrays)
    assert str(caught.value) == str(plain.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_integers_lack_are_refused_where_asked(bad):
    x = np.array([[0.0, bad, 1.0]], np.float32)
    ArrayCheck(TWO).require((x, N))
    with pytest.raises(InputError, match="1 of 3 values are NaN or infinite") as caught:
        ArrayCheck(TWO, finite=True).require((x, N))
    assert caught.value.where == "input x"


def test_a_dtype_that_numpy_lacks_is_compared_by_its_name():
    check = ArrayCheck(Signature((TensorSpec("x", (3,), "float8_e4m3fn"),), ()))
    assert not check.fits((np.ones(3, np.float32),))
    with pytest.raises(InputError, match="expected float8_e4m3fn"):
        check.require((np.ones(3, np.float32),))
