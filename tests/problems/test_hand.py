"""Hand tracking: the model bone by bone, its Jacobian on every backend, the convention of rotations, and the files."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.judge import judge
from autodiff_compare.plan import sparsity
from autodiff_compare.plan.cases import Case, build_case, leaves
from autodiff_compare.problems import Inputs, available, with_data
from autodiff_compare.problems.base.instances import hand as instance
from autodiff_compare.problems.base.instances.text import InstanceError
from autodiff_compare.vocabulary import DTYPES, Operator, Status
from tests.conftest import opened

NAMES = ("hand", "hand_complicated")
#: Columns of the pose: bone b has column 3 + b; columns 8, 12, 16, 20 have no angle.
TREE = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19, 0)


def drawn(name: str, size: str = "small", seed: int = 0) -> Inputs:
    problem = available()[name]
    return problem.inputs(np.random.default_rng(seed), problem.sizes[size])


def pose(theta: Any) -> Any:
    """Return ADBench's pose (25, 3): rotation, scale, translation, then the angles of each bone about x, z and y."""
    columns, parameter, column = np.zeros((25, 3)), 6, 5
    columns[:3] = theta[:3], np.ones(3), theta[3:6]
    for _ in range(5):
        for joint in range(3):
            columns[column, 0] = theta[parameter]
            parameter += 1
            if joint == 0:
                columns[column, 1] = theta[parameter]
                parameter += 1
            column += 1
        column += 1
    return columns


def euler(about_x: float, about_z: float, about_y: float) -> Any:
    """Return R_z R_y R_x."""
    (cx, cy, cz), (sx, sy, sz) = (f([about_x, about_y, about_z]) for f in (np.cos, np.sin))
    Rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    Ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    Rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return Rz @ Ry @ Rx


def skinned(theta: Any, model: instance.Model) -> Any:
    """Return the vertices, computed bone by bone in the order of the file."""
    columns, absolutes = pose(theta), []
    homogeneous = np.concatenate([model.positions, np.ones((len(model.positions), 1))], axis=1)
    out = np.zeros((len(homogeneous), 3))
    for bone, parent in enumerate(model.parents):
        turn = np.eye(4)
        turn[:3, :3] = euler(*columns[3 + bone])
        relative = model.base[bone] @ turn
        absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
        moved = homogeneous @ (absolutes[bone] @ model.inverse[bone]).T
        out += model.weights[:, bone : bone + 1] * moved[:, :3]
    angle = np.linalg.norm(columns[0])
    x, y, z = columns[0] / angle
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return out @ R.T * columns[1] + columns[2]


def written(folder: pathlib.Path, complicated: bool) -> pathlib.Path:
    """Write a model of 22 bones and 30 vertices and an instance of 4 points, in ADBench's format."""
    rng = np.random.default_rng(5)
    model = folder / "simple_small" / "model"
    model.mkdir(parents=True)

    def joined(*fields: Any) -> str:
        return ":".join(map(str, fields))

    numbers = rng.uniform(-1, 1, (22, 32))
    (model / "bones.txt").write_text("\n".join(joined(f"b{i}", TREE[i], *row) for i, row in enumerate(numbers)) + "\n")
    vertices = []
    for i, row in enumerate(rng.uniform(0, 1, (30, 12))):
        bones = [(i + k) % 22 for k in range(1 + i % 4)]
        pairs = [v for bone, weight in zip(bones, row[8:], strict=False) for v in (bone, weight)]
        vertices.append(joined(*row[:8], len(bones), *pairs))
    (model / "vertices.txt").write_text("\n".join(vertices))
    triangles = rng.integers(30, size=(9, 3))
    (model / "triangles.txt").write_text("\n".join(joined(*row) for row in triangles))
    rows = [f"{8 - 2 * i} {i}.5 {i} -1" for i in range(4)]
    us = [f"0.{i} 0.2" for i in range(4)] if complicated else []
    theta = [f"{v:.6f}" for v in rng.uniform(-1, 1, 26)]
    path = folder / ("complicated_small" if complicated else "simple_small") / "hand1_t26_c4.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["4 26", *rows, *us, *theta]) + "\n")
    return path


@pytest.mark.parametrize("complicated", [False, True])
def test_an_instance_file_gives_the_model_computed_bone_by_bone(tmp_path: pathlib.Path, complicated: bool) -> None:
    path, problem = written(tmp_path, complicated), available()[NAMES[complicated]]
    assert problem.instances is not None
    inputs = problem.instances.read(path)
    model, found = instance.read(path, complicated=complicated)
    assert model.parents == TREE
    assert found.correspondences.tolist() == [8, 6, 4, 2]
    vertices = skinned(found.theta, model)
    if complicated:
        assert found.us is not None
        corners = vertices[model.triangles[found.correspondences]]
        shares = np.column_stack([found.us, 1 - found.us.sum(axis=1)])
        on_hand = np.sum(shares[:, :, None] * corners, axis=1)
    else:
        on_hand = vertices[found.correspondences]
    errors = problem.objective(*inputs.arrays, xp=np, **inputs.static)
    np.testing.assert_allclose(errors, found.points - on_hand, rtol=0, atol=1e-12)


def test_simple_and_complicated_instances_belong_to_their_own_problem(tmp_path: pathlib.Path) -> None:
    written(tmp_path / "a", complicated=False)
    written(tmp_path / "b", complicated=True)
    found = [with_data(available()[name], tmp_path).files for name in NAMES]
    assert [[path.parent.name for path in files.values()] for files in found] == [
        ["simple_small"],
        ["complicated_small"],
    ]


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("hand1_t26_c4.txt", 0, "4 25", "line 1: got 25 parameters, expected 26"),
        ("hand1_t26_c4.txt", 1, "30 1 2 3", "line 2: got '30', expected a whole number from 0 to 29"),
        ("hand1_t26_c4.txt", 2, "3 1 2", "line 3: got 3 fields, expected 4"),
        ("hand1_t26_c4.txt", 5, "0.1 0.2", "line 6: got 2 fields, expected 1"),
        ("model/bones.txt", 3, "b:3:1", "line 4: got 3 fields, expected 34"),
        (
            "model/bones.txt",
            3,
            ":".join(["b", "3", *["0"] * 32]),
            "line 4: got '3', expected a whole number from 0 to 2",
        ),
        (
            "model/vertices.txt",
            1,
            "1:2:3:0:0:0:0:0:2:1:0.5",
            "line 2: got 11 fields, expected 13: a vertex with 2 bones",
        ),
        ("model/vertices.txt", 1, "1:2:3:0:0:0:0:0:1:22:0.5", "line 2: got '22', expected a whole number from 0 to 21"),
        ("model/triangles.txt", 0, "0:1:30", "line 1: got '30', expected a whole number from 0 to 29"),
    ],
)
def test_a_damaged_file_names_its_line(tmp_path: pathlib.Path, file: str, line: int, text: str, message: str) -> None:
    path = written(tmp_path, complicated=False)
    damaged = path.parent / file
    lines = damaged.read_text().splitlines()
    damaged.write_text("\n".join([*lines[:line], text, *lines[line + 1 :]]))
    with pytest.raises(InstanceError, match=message):
        instance.read(path, complicated=False)


def test_a_missing_model_names_the_folders_that_were_searched(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hand1_t26_c4.txt"
    path.write_text("4 26\n")
    with pytest.raises(InstanceError, match=r"got no hand model, expected a folder .*model or "):
        instance.read(path, complicated=False)


@functools.cache
def case_of(name: str, operator: Operator, dtype: str, seed: int) -> Case:
    return build_case(available()[name], "small", dtype, operator, seed)


@functools.cache
def judge_of(name: str, operator: Operator, dtype: str) -> judge.Judge:
    return judge.Judge(case_of(name, operator, dtype, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "operator"), [("hand", Operator.JACOBIAN), ("hand_complicated", Operator.SPARSE_JACOBIAN)]
)
# test_crosschecks judges the backends themselves.
@pytest.mark.parametrize("spec", ["numpy:compiled", "autograd"])
def test_the_jacobian_equals_the_closed_form(spec: str, name: str, operator: Operator, dtype: str) -> None:
    backend, case = opened(spec), case_of(name, operator, dtype, 0)
    patterns = case.patterns if operator == Operator.SPARSE_JACOBIAN else ()

    def variables(seed: int) -> list[Any]:
        arrays = case_of(name, operator, dtype, seed).inputs.arrays
        return [backend.to_var(a.astype(dtype) if a.dtype.kind == "f" else a) for a in arrays]

    f = Objective(case.problem.function(backend, case.inputs.static), patterns=patterns)
    run = backend.prepare(operator, f, variables(1), argnums=range(len(case.inputs.differentiated)))
    found = [backend.to_numpy(leaf) for leaf in leaves(backend.block(run(*variables(0))))]
    status, why = judge.overall(judge_of(name, operator, dtype)(found))
    assert status == Status.OK, why


def test_the_complicated_jacobian_takes_28_products() -> None:
    inputs = drawn("hand_complicated", "medium")
    patterns = sparsity.patterns(available()["hand_complicated"], inputs)
    plan = Compression.of(patterns)
    assert [pattern.nnz for pattern in patterns] == [300 * 26, 300 * 2]
    assert (plan.operator, plan.number) == (Operator.JVP, 28)


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(("size", "turns"), [(0.0, False), (0.99e-4, False), (1.01e-4, True)])
def test_a_global_rotation_below_a_tenth_of_a_milliradian_is_the_identity(size: float, turns: bool, spec: str) -> None:
    # ADBench's convention: the identity where |r| < 1e-4, so that its derivative is zero there.
    backend, inputs = opened(spec), drawn("hand")
    theta = inputs.differentiated[0].copy()
    theta[:3] = np.array([0.6, 0.0, -0.8]) * size
    args = [backend.to_var(a) for a in (theta, *inputs.data)]
    f = available()["hand"].function(backend, inputs.static)
    (jacobian,) = backend.prepare(Operator.JACOBIAN, f, args)(*args)
    by_rotation = backend.to_numpy(jacobian)[:, :, :3]
    assert np.isfinite(by_rotation).all()
    assert by_rotation.any() == turns


def test_rotation_buffers_keep_float32() -> None:
    inputs = drawn("hand")
    narrow = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in inputs.arrays]
    assert available()["hand"].objective(*narrow, xp=np, **inputs.static).dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_an_effect(name: str) -> None:
    # With few points some finger may have none; at medium size each has.
    inputs = drawn(name, "medium")
    problem = available()[name]
    theta, *rest = inputs.arrays
    before = problem.objective(theta, *rest, xp=np, **inputs.static)
    for k in range(26):
        moved = theta + 0.01 * np.eye(26)[k]
        assert np.abs(problem.objective(moved, *rest, xp=np, **inputs.static) - before).max() > 1e-4, k
