"""Bundle adjustment: the formula for each observation, rotations near zero, sparsity patterns, and files."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.plan import sparsity
from autodiff_compare.problems import Inputs, available
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.problems.base.instances import bundle_adjustment
from autodiff_compare.problems.base.instances.text import InstanceError
from autodiff_compare.problems.base.rotations import NEAR, coefficients
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

PROBLEM = available()["ba"]
BACKENDS = ("numpy", "numpy:compiled", "torch", "tensorflow", "jax", "autograd")


def drawn(size: str = "small", seed: int = 0) -> Inputs:
    return PROBLEM.inputs(np.random.default_rng(seed), PROBLEM.sizes[size])


def turned(r: Any, y: Any) -> Any:
    """Return Rodrigues' formula with the unit axis, as in textbooks; undefined at r = 0."""
    angle = math.hypot(*r)
    k = r / angle
    return y * math.cos(angle) + np.cross(k, y) * math.sin(angle) + k * (k @ y) * (1 - math.cos(angle))


def test_the_errors_equal_the_formula_for_each_observation() -> None:
    inputs = drawn()
    cameras, points, weights, features, camera_of, point_of = inputs.arrays
    assert camera_of[:5].tolist() == [0, 1, 2, 0, 1]
    assert point_of[7:10].tolist() == [7, 0, 1]
    found = PROBLEM.objective(*inputs.arrays, xp=np)
    p = len(weights)
    for i in range(p):
        r, C, f, u, k = np.split(cameras[camera_of[i]], [3, 6, 7, 9])
        Z = turned(r, points[point_of[i]] - C)
        assert Z[2] > 2  # in front of the camera
        at = Z[:2] / Z[2]
        s = at @ at
        error = weights[i] * (f * (1 + k[0] * s + k[1] * s * s) * at + u - features[i])
        np.testing.assert_allclose(found[2 * i : 2 * i + 2], error, rtol=1e-13)
        assert found[2 * p + i] == 1 - weights[i] ** 2


def at_angles(dtype: str) -> Inputs:
    """Return cameras with zero and tiny rotations, and with rotations on both sides of the end of the series."""
    inputs = drawn()
    cameras = inputs.differentiated[0].copy()
    axes = np.array([[0.0, 0.0, 0.0], [1e-9, -2e-9, 1e-9], [0.6, -0.48, 0.64]])
    axes[2] *= math.sqrt(NEAR) * (1 + 1e-3)
    cameras[:, :3] = axes
    # The centres fit other rotations: two units farther away, all points are still in front of the cameras.
    cameras[:, 3:6] = [0.1, -0.2, -6.0]
    arrays = (cameras, *inputs.arrays[1:])
    rounded = [a.astype(dtype).astype(float) if a.dtype.kind == "f" else a for a in arrays]
    return Inputs(tuple(rounded[:3]), tuple(rounded[3:]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spec", BACKENDS)
def test_derivatives_are_correct_at_and_near_zero_rotation(spec: str, dtype: str) -> None:
    backend, inputs = opened(spec), at_angles(dtype)
    args = [backend.to_var(a.astype(dtype) if a.dtype.kind == "f" else a) for a in inputs.arrays]
    f = Objective(PROBLEM.function(backend, {}), patterns=sparsity.patterns(PROBLEM, inputs))
    found = backend.prepare(Operator.SPARSE_JACOBIAN, f, args, argnums=(0, 1, 2))(*args)
    wanted = PROBLEM.reference[Operator.SPARSE_JACOBIAN](*inputs.arrays)
    for leaf, want in zip(found, wanted, strict=True):
        got = backend.to_numpy(leaf)
        assert got.dtype.name == dtype
        assert np.linalg.norm(got - want) <= 20 * np.finfo(dtype).eps * np.linalg.norm(want)


def test_the_derivative_at_zero_rotation_is_the_cross_product() -> None:
    # Z = Y + r x Y to first order, so that dZ/dr = -[Y]x; with f = 1, no distortion, weight 1, Y = (0, 0, 1):
    # e = (Z_x, Z_y) / Z_z - m, de/dr = ((0, 1, 0), (-1, 0, 0)).
    camera = np.array([[0.0] * 6 + [1.0] + [0.0] * 4])
    args = (camera, np.array([[0.0, 0.0, 1.0]]), np.ones(1), np.zeros((1, 2)), np.zeros(1, int), np.zeros(1, int))
    found = PROBLEM.reference[Operator.SPARSE_JACOBIAN](*args)[0].reshape(2, 11)
    assert found[:, :3].tolist() == [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]


@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-3, 0.0999, 0.1001, 1.0, 3.0])
def test_the_coefficients_of_a_rotation(angle: float) -> None:
    t = np.array(angle * angle)
    # In long double: sin(x)/x and (1 - cos(x))/x^2 = (sin(x/2)/(x/2))^2 / 2, np.sinc(x) being sin(pi x)/(pi x).
    wide = np.sqrt(t.astype(np.longdouble))
    expected = np.sinc(wide / np.pi), np.sinc(wide / (2 * np.pi)) ** 2 / 2
    np.testing.assert_allclose(coefficients(t, np), [float(e) for e in expected], rtol=4e-16)


@pytest.mark.parametrize("size", ["medium", "large"])
def test_every_size_takes_fifteen_products(size: str) -> None:
    inputs = drawn(size)
    patterns = sparsity.patterns(PROBLEM, inputs)
    p = PROBLEM.sizes[size]
    assert [pattern.nnz for pattern in patterns] == [22 * p, 6 * p, 3 * p]
    plan = Compression.of(patterns)
    assert (plan.operator, plan.number) == (Operator.JVP, 15)


def test_the_closed_form_agrees_with_the_engine_and_has_no_further_entries() -> None:
    inputs = drawn()
    engine = opened("numpy")
    dense = engine.prepare(Operator.JACOBIAN, PROBLEM.function(engine, {}), inputs.arrays, argnums=(0, 1, 2))
    for got, want in zip(
        complete(PROBLEM, inputs)[Operator.JACOBIAN](*inputs.arrays), dense(*inputs.arrays), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


# The format of ADBench's reader: counts, then one camera, point, weight and feature; all others are copies.
FILE = ["3 4 5", "0.1 0.2 0.3 1 2 3 400 5 6 0.01 0.02", "7 8 9", "0.5", "10 11", ""]


def written(folder: pathlib.Path, lines: list[str]) -> pathlib.Path:
    path = folder / "ba1_n3_m4_p5.txt"
    path.write_text("\n".join(lines))
    return path


def test_a_file_gives_copies_of_one_camera_point_weight_and_feature(tmp_path: pathlib.Path) -> None:
    assert PROBLEM.instances is not None
    inputs = PROBLEM.instances.read(written(tmp_path, FILE))
    assert [a.shape for a in inputs.arrays] == [(3, 11), (4, 3), (5,), (5, 2), (5,), (5,)]
    assert inputs.differentiated[0][2].tolist() == [0.1, 0.2, 0.3, 1, 2, 3, 400, 5, 6, 0.01, 0.02]
    assert inputs.data[0].tolist() == [[10.0, 11.0]] * 5
    assert [index.tolist() for index in inputs.data[1:]] == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "3 4", "line 1: got 2 fields, expected 3: the counts n m p"),
        (0, "3 0 5", "line 1: got '0', expected a whole number from 1"),
        (0, "10000000 10000000 10000000", "line 1: got counts that imply 170000000 entries"),
        (0, "3 4 100000001", "line 1: got '100000001', expected a whole number from 1 to 100000000"),
        (1, "1 2 3", "line 2: got 3 fields, expected 11: the camera"),
        (2, "7 8 x", "line 3: got 'x', expected a finite number: the point"),
        (4, "10 nan", "line 5: got 'nan', expected a finite number: the feature"),
        (5, "more", "line 6: got a further line"),
    ],
)
def test_a_damaged_file_names_its_line(tmp_path: pathlib.Path, line: int, text: str, message: str) -> None:
    path = written(tmp_path, [*FILE[:line], text, *FILE[line + 1 :]])
    with pytest.raises(InstanceError, match=message):
        bundle_adjustment.read(path)
