"""A test of the project that uses the fixture: nothing imported, nothing configured."""

import numpy as np
import problems


def f(x):
    return problems.SCALE * np.sum(np.sin(x))


def test_right(assert_gradients):
    assert_gradients(f, np.array([0.3, 1.0]), lambda x: 3.0 * np.cos(x))


def test_wrong(assert_gradients):
    assert_gradients(f, np.array([0.3, 1.0]), np.cos)
