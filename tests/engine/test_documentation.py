"""The examples in the engine's guide and docstrings are run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pathlib
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from autodiff_compare.backends import numpy_autodiff as engine

FOLDER = pathlib.Path(engine.__file__).parent


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".array.special",
        ".compiler",
        ".compiler.compiled",
        ".core.reach",
        ".core.tracing",
        ".dependence.patterns",
        ".dependence.sets",
        ".taylor.series",
        ".tools.graph_svg",
        ".tools.graph_text",
        ".transforms.custom",
    ],
)
def test_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"autodiff_compare.backends.numpy_autodiff{module}"))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_guide() -> None:
    found = doctest.testfile(str(FOLDER / "README.md"), module_relative=False)
    assert (found.failed, found.attempted > 20) == (0, True)


def test_the_graph_in_dot_has_a_node_per_call_and_an_edge_per_argument() -> None:
    dot = engine.graph_dot(lambda x, y: np.sum(x * y), np.ones(2), np.ones(2))
    assert dot.count("label=") == 4
    assert dot.count("->") == 3


_SVG = "{http://www.w3.org/2000/svg}"


def _drawn(f: Any, *args: Any) -> tuple[ElementTree.Element, dict[str, tuple[float, float, float, float]], list[Any]]:
    """The document, the rectangles by name, and the ends of the curves."""
    root = ElementTree.fromstring(engine.graph_svg(f, *args))
    boxes = {}
    for group in root.iter(f"{_SVG}g"):
        rect = group.find(f"{_SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
        boxes[group.get("id", "")] = (x, y, x + width, y + height)
    curves = [
        [float(n) for n in path.get("d", "").replace("M", "").replace("C", " ").split()]
        for path in root.iter(f"{_SVG}path")
    ]
    return root, boxes, curves


def _network(x: Any, w: Any) -> Any:
    """With what XML reserves: an index with < and &, a name in quotes."""
    h = np.maximum(x @ w, 0)
    parts = [h[i] for i in range(3)]
    return np.sum(np.stack(parts) * parts[0]) + np.where(np.array([True, False, True]), h[0], x[0]).sum()


def test_the_drawing_is_well_formed_and_holds_every_operation_with_its_shape() -> None:
    x, w = np.ones((3, 3)), np.ones((3, 3))
    root, boxes, curves = _drawn(_network, x, w)
    assert root.tag == f"{_SVG}svg"
    text = engine.graph_text(_network, x, w).splitlines()[:-1]
    assert set(boxes) == {line.split(":")[0] for line in text}
    words = [node.text or "" for node in root.iter(f"{_SVG}text")]
    for line in text:
        form = line.split(": ")[1].split(" = ")[0]
        assert form in words
    assert len(curves) == engine.graph_dot(_network, x, w).count("->")
    assert any(word.startswith("getitem(., 2") for word in words)


def test_boxes_neither_overlap_nor_leave_the_drawing_and_curves_run_downwards() -> None:
    root, boxes, curves = _drawn(_network, np.ones((3, 3)), np.ones((3, 3)))
    width, height = (float(root.get(key, "nan")) for key in ("width", "height"))
    found = sorted(boxes.values())
    for k, (left, top, right, bottom) in enumerate(found):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        for other in found[:k]:
            assert other[2] <= left or right <= other[0] or other[3] <= top or bottom <= other[1]
    edges = {round(y, 1) for box in found for y in (box[1], box[3])}
    for curve in curves:
        assert curve[1] < curve[-1]
        assert {round(curve[1], 1), round(curve[-1], 1)} <= edges


def test_a_drawing_escapes_what_xml_reserves() -> None:
    odd = engine.custom_rule(vjp=(lambda g, ans, x: g,))(lambda x: x)
    odd.name = "a<b & 'c' \"d\""
    root = ElementTree.fromstring(engine.graph_svg(lambda x: odd(x), 1.0))
    assert [t.text for t in root.iter(f"{_SVG}text")][2] == odd.name
    assert ElementTree.fromstring(engine.graph_svg(lambda x: 1.0, 2.0)) is not None
