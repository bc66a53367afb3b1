"""Scattering: adding entries to places of an array of zeros, the transpose of indexing.

For ``y_k = x_(i_k)`` the cotangent of ``x_j`` is the sum of ``g_k`` over all k with ``i_k = j``: repeated indices add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter, add_cotangent, generic_pull, is_basic
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SELECTS


def _scatter(
    *parts: Any,
    indices: Sequence[Any],
    shape: tuple[int, ...],
    dtype: Any,
    views: Sequence[tuple[int, Any]] = (),
    places: Sequence[int] = (),
) -> Any:
    if dtype.char == "e":
        # Added up in half precision, 1/70000 taken 70000 times is 1/32.
        wide = np.dtype(np.float32)
        return _scatter(*parts, indices=indices, shape=shape, dtype=wide, views=views, places=places).astype(dtype)
    if views:
        return _scatter_within(parts, indices, np.zeros(shape, dtype), views, places)
    first = indices[0]
    if first.__class__ is slice and first.step is None:
        # Only the rest is filled with zeros, which halves the work of the gradient of ``x[1:] - x[:-1]``.
        start, stop, _ = first.indices(shape[0])
        out = np.empty(shape, dtype)
        if start:
            out[:start] = 0
        done = 2 if _share_a_slice(parts, indices, dtype) else 1
        if done == 2:
            np.add(parts[0], parts[1], out[start:stop])
        else:
            out[start:stop] = parts[0]
        if stop < shape[0]:
            out[max(start, stop) :] = 0
    else:
        out = np.zeros(shape, dtype)
        done = 0
    for index, part in zip(indices[done:], parts[done:], strict=True):
        _add_at(out, index, part)
    return out


def _share_a_slice(parts: Sequence[Any], indices: Sequence[Any], dtype: Any) -> bool:
    """Return whether the first two parts are arrays for the same slice."""
    if len(parts) == 1 or indices[1].__class__ is not slice or indices[0] != indices[1]:
        return False
    a, b = parts[:2]
    return a.__class__ is b.__class__ is np.ndarray and a.dtype is b.dtype is dtype and a.shape == b.shape


def _add_at(out: Any, index: Any, part: Any) -> None:
    if index.__class__ is slice:
        # Not ``out[index] += part``, which assigns the sum once more.
        view = out[index]
        view += part
    elif is_basic(index):
        out[index] += part
    else:
        np.add.at(out, index, part)


def _through(whole: Any, views: Sequence[tuple[int, Any]]) -> list[Any]:
    """Return an array, and its views by the steps, each taken from an earlier one."""
    found = [whole]
    for origin, (step, args) in views:
        found.append(step(found[origin], *args))
    return found


def _scatter_within(parts: Any, indices: Any, out: Any, views: Any, places: Any) -> Any:
    """Add parts to views of an array of zeros. A reshape that had to copy is added when it is complete.

    An array without entries shares no memory with the array that it is a view of, and has nothing to add.
    """
    found = _through(out, views)
    for place, index, part in zip(places, indices, parts, strict=True):
        _add_at(found[place], index, part)
    for (origin, _), copy in zip(reversed(views), reversed(found), strict=False):
        if copy.size and not np.may_share_memory(copy, found[origin]):
            found[origin][...] += copy.reshape(found[origin].shape)
    return out


def pull_view(node: Any, g: Any) -> None:
    """Send a cotangent back from a view; a `Scatter` is kept as a part of the whole, and not written out."""
    x = node.args[0]
    if g.__class__ is Scatter and node.primal.shape and x.primal.shape:
        step = (node.call.primitive, node.args[1:])
        add_cotangent(x, Scatter(write_out, x.primal, step, g), node.primal)
    else:
        generic_pull(node, g.dense() if g.__class__ is Scatter else g)


def _vjp(i: int, g: Any, _ans: Any, *_parts: Any, indices: Any, views: Any = (), places: Any = (), **_like: Any) -> Any:
    return _through(g, views)[places[i] if places else 0][indices[i]]


def _jvp(i: int, t: Any, _ans: Any, *_parts: Any, **kwargs: Any) -> Any:
    return SCATTER(t, **_of_parts([i], kwargs))


def _of_parts(numbers: Sequence[int], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a scatter of some of the parts."""
    chosen = {name: [kwargs[name][i] for i in numbers] for name in ("indices", "places") if name in kwargs}
    return {**kwargs, **chosen}


def _pull(node: Any, g: Any) -> None:
    args, kwargs = node.args, node.call.kwargs
    indices, places = kwargs["indices"], kwargs.get("places")
    found = _through(g, kwargs.get("views", ()))
    for i in node.call.where:
        add_cotangent(args[i], found[places[i] if places else 0][indices[i]], args[i].primal)


def _push_all(node: Any) -> None:
    """Scatter the tangents of all parts at once: one after the other would each fill the whole array."""
    moved = [i for i in node.call.where if node.args[i].flow is not None]
    if moved:
        node.flow = write_out(*[node.args[i].flow for i in moved], **_of_parts(moved, node.call.kwargs))


#: Classes of parts that are certainly not nodes.
_PLAIN = frozenset({np.ndarray, np.float64, float})


def write_out(*parts: Any, **kwargs: Any) -> Any:
    """Scatter the parts, without `apply` where all of them are plain, which saves 3 us of three parts."""
    for part in parts:
        if part.__class__ not in _PLAIN:
            return SCATTER(*parts, **kwargs)
    return _scatter(*parts, **kwargs)


SCATTER = Primitive(
    "scatter", _scatter, (_vjp,), (_jvp,), variadic=True, pull=_pull, push_all=_push_all, keeps=False, selects=SELECTS
)
