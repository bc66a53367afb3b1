"""Which entries a derivative reaches: a zero that means "no path" is told from a zero that is a product.

The rule for zero times infinity
--------------------------------
A sweep starts from a seed: the cotangent of the output, or the tangent of the input. An entry of a value is *reached*
if a chain of dependencies joins it to a seed that is not zero. A selection breaks the chain: an entry that ``where``,
an index, ``maximum``, ``clip`` or a constant factor 0 discards has no part in the result. Then

- what an entry that is *not reached* contributes is 0, however steep the functions on the way are;
- what a *reached* entry contributes is the chain rule's product in floating-point arithmetic: 0 times infinity is nan.

Proof. Hold the selections as they are at the point. (Where two of them meet, that is the convention: the branch that
was taken is differentiated.) An entry that is not reached is no argument of the function that remains, so that the
derivative in it is exactly 0. For a reached entry the product stands for the limit of ``a(h) b(h)`` with ``a -> 0`` and
``b -> infinity``, which can be anything: at 0 the cotangent of the root is 0 in ``sqrt(x)**2``, ``sqrt(x)**4`` and
``cbrt(x)**2``, whose slopes are 1, 0 and infinite. No rule that sees one function at a time can know it. So the answer
is nan, unless the pair of functions is known together: `undone` takes ``sqrt(x)**2`` for x, and the square of a norm
for a sum of squares.

Where the rule is applied
-------------------------
Rules of derivatives are plain arithmetic, and know nothing of this. A trace keeps a list of the calls that can be steep
(`Primitive.steep`). Before a sweep, `steep` asks each of them whether it is steep at this point. If none is, the sweep
runs as usual: no slope is infinite, so every zero is harmless. Otherwise `protect` walks the graph once with masks in
place of cotangents, and leaves masks in the calls. The forward sweep does the same with the masks beside the tangents.

Masks are True (every entry), False (none), or an array of booleans in the shape of the value.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff import grad
>>> with np.errstate(divide="ignore", invalid="ignore"):
...     print(grad(lambda x: np.where(x > 0, np.sqrt(x), 2 * x))(0.0))  # the root is discarded
...     print(grad(lambda x: np.cbrt(x) ** 2)(0.0))  # 0 times infinity: the limit is infinite
...     print(grad(lambda x: np.sqrt(x) ** 2)(0.0))  # x
2.0
nan
1.0
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter, add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.primitive import PICK, Call
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, is_inexact, primal, topmost, values_of

_ndarray, _float64 = np.ndarray, np.float64


def steep(nodes: Iterable[Node]) -> bool:
    """Return whether a call has a slope that is not finite; a compiler guards the answer."""
    return any(is_steep(node) for node in nodes)


def is_steep(node: Node) -> bool:
    """Return whether this call has a slope that is not finite."""
    call, value = node.call, node.primal
    test = call.primitive.steep
    if test is None or (call.primitive.tip and (not isinstance(value, Node) or value.tape.symbolic)):
        return False
    values = values_of(node, call.where)
    if value.__class__ is not _ndarray and value.__class__ is not _float64:
        values = list(map(primal, values))
    return bool(test(node, *values, **call.kwargs))


#: Values of `Primitive.selects`, explained there.
MOVES, SELECTS, SPREADS, ENTRIES = "moves", "selects", "spreads", "entries"

# --- Masks


def of_seed(g: Any) -> Any:
    """Return which entries of a seed are not zero.

    A seed that is differentiated itself stands for its neighbours too, which are not zero.
    """
    if g is None:
        return False
    if g.__class__ is float or (isinstance(g, Node) and not g.tape.symbolic):
        return True
    if np.count_nonzero(g) == np.size(g):
        return True
    return np.not_equal(g, 0)


def both(a: Any, b: Any) -> Any:
    """Return the entries that are in both masks."""
    if a is True or b is False:
        return b
    return a if b is True or a is False else _plain(np.logical_and(a, b))


def either(a: Any, b: Any) -> Any:
    """Return the entries that are in one of the masks."""
    if a is False or b is True:
        return b
    return a if b is False or a is True else _plain(np.logical_or(a, b))


def _plain(mask: Any) -> Any:
    """Return True for a mask that has every entry."""
    return True if not isinstance(mask, Node) and np.all(mask) else mask


def chosen(mask: Any, x: Any) -> Any:
    """Return ``x`` where the mask holds, and 0 elsewhere."""
    found = np.where(mask, x, 0)
    return found[()] if found.__class__ is np.ndarray and not found.shape else found


def _whole(mask: Any, shape: tuple[int, ...]) -> Any:
    """Return a mask of ``shape``: every entry if any entry of ``mask`` is reached."""
    if mask is True or mask is False:
        return mask
    found = np.any(mask)
    return np.broadcast_to(found, shape) if isinstance(found, Node) else bool(found)


def _shaped(mask: Any, shape: tuple[int, ...]) -> Any:
    return mask if mask is True or mask is False or mask.shape == shape else np.broadcast_to(mask, shape)


def _weights(mask: Any, like: Any) -> Any:
    """Return a mask as numbers in the shape and dtype of ``like``."""
    one = like.dtype.type(1)
    found = np.full(like.shape, one) if mask is True else np.where(mask, one, like.dtype.type(0))
    return found[()] if found.__class__ is np.ndarray and not found.shape else found


def _by_rule(rule: Callable[..., Any], mask: Any, like: Any, node: Node) -> Any:
    """Return the entries that a rule makes of those in the mask; its Jacobian has no negative entry."""
    call = node.call
    values, ans = [primal(x) for x in values_of(node, call.where)], primal(node.primal)
    if call.primitive.selects == SPREADS:
        # An array of integers is an operand too, and its signs could cancel. A number may be an axis.
        values = [_weights(True, x) if is_inexact(x) or np.shape(x) else x for x in values]
        ans = _weights(True, ans)
    found = rule(_weights(mask, primal(like)), ans, *values, **call.kwargs)
    if found is None:
        return False
    return _plain(np.not_equal(found.dense() if found.__class__ is Scatter else found, 0))


def _reduced(mask: Any, shape: tuple[int, ...]) -> Any:
    """Return the mask of an argument that was broadcast: an entry is reached if one of its copies is."""
    if mask is True or mask is False or mask.shape == shape:
        return mask
    extra = len(mask.shape) - len(shape)
    if extra > 0:
        mask = np.any(mask, axis=tuple(range(extra)))
    axes = tuple([i for i, n in enumerate(shape) if n == 1 and mask.shape[i] != 1]) if extra >= 0 else ()
    return np.any(mask, axis=axes, keepdims=True) if axes else np.broadcast_to(mask, shape)


# --- The backward sweep


def _sources(node: Node, mask: Any) -> list[Any]:
    """Return a mask for each traced argument, in the shape of the cotangent that its rule gives."""
    call = node.call
    primitive, selects = call.primitive, call.primitive.selects
    if mask.__class__ is list:
        mask = functools.reduce(either, [_whole(part, ()) for part in mask], False)
    if mask is False:
        return [False] * len(call.where)
    if callable(selects):
        values = [primal(x) for x in values_of(node, call.where)]
        return [_shaped(both(mask, selects(i, call.where, *values)), node.primal.shape) for i in call.where]
    if selects and selects != ENTRIES:
        return [_by_rule(primitive.vjp(i), mask, node.primal, node) for i in call.where]
    if primitive.pointwise or selects:
        return [mask] * len(call.where)
    return [_whole(mask, node.args[i].primal.shape) for i in call.where]


@contextlib.contextmanager
def protected(nodes: Sequence[Node], seeds: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """Let backward sweeps follow the rule within the context; see `protect`."""
    before = [(node, node.call, node.args) for node in nodes]
    try:
        protect(nodes, seeds)
        yield
    finally:
        for node, call, args in before:
            node.call, node.args = call, args


def protect(nodes: Sequence[Node], seeds: Iterable[tuple[Any, Any]]) -> None:
    """Leave masks in the calls of a graph that has a steep one, so that a backward sweep follows the rule.

    Parameters
    ----------
    nodes
        The nodes in order of computation.
    seeds
        Outputs with the masks of their cotangents (see `of_seed`).
    """
    reached: dict[int, Any] = {}
    for node, mask in seeds:
        reached[id(node)] = either(reached.get(id(node), False), mask)
    for node in reversed(nodes):
        mask = reached.get(id(node))
        if mask is None or not node.call.where:
            continue
        if node.call.primitive is PICK:
            parent, index = node.args
            parts = reached.setdefault(id(parent), [False] * len(parent.primal))
            parts[index] = either(parts[index], mask)
            continue
        node.call, node.args = undone(node)
        masks = _sources(node, mask)
        for i, part in zip(node.call.where, masks, strict=True):
            x = node.args[i]
            reached[id(x)] = either(reached.get(id(x), False), _reduced(part, x.primal.shape))
        node.reached = mask
        if any(part is not True for part in masks) or node.call.primitive.aware:
            node.call = _masked(node.call, masks, mask)


def _masked(call: Call, masks: Sequence[Any], mask: Any) -> Call:
    """Return a call that sends nothing back where the masks of its arguments do not hold."""
    if all(part is False for part in masks):
        return Call(call.primitive, call.where, call.kwargs, pull=_nothing, push=call.push)
    if not call.primitive.vjps:
        return call
    kwargs = {**call.kwargs, "reached": mask} if call.primitive.aware else call.kwargs

    def pull(node: Any, g: Any) -> None:
        args, ans = node.args, node.primal
        values = values_of(node, call.where)
        if g.__class__ is float:
            g = spread(g, ans)
        for (i, rule), part in zip(call.vjps, masks, strict=True):
            # What the mask leaves out may be anything.
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                d = None if part is False else rule(g, ans, *values, **kwargs)
            if d is not None:
                add_cotangent(args[i], d if part is True or d.__class__ is Scatter else chosen(part, d), ans)

    return Call(call.primitive, call.where, call.kwargs, pull=pull, push=call.push)


def _nothing(node: Any, g: Any) -> None:
    del node, g


# --- The forward sweep


def carried(node: Node, i: int, mask: Any) -> Any:
    """Return the mask of the result, in its shape, that comes from the mask of argument ``i``."""
    primitive, ans = node.call.primitive, node.primal
    selects = primitive.selects
    if mask is False or (mask is True and not primitive.discards):
        return mask
    if callable(selects):
        mask = both(mask, selects(i, node.call.where, *map(primal, values_of(node, node.call.where))))
    elif selects and selects != ENTRIES:
        jvp = primitive.jvp(i)
        if jvp is None:
            return True
        mask = _by_rule(jvp, mask, node.args[i].primal, node)
    elif not (primitive.pointwise or selects):
        return _whole(mask, ans.shape) if not isinstance(ans, tuple) else _whole(mask, ()) is not False
    return _shaped(mask, ans.shape)


def known(mask: Any) -> Any:
    """Return a mask that was pending."""
    return mask() if callable(mask) else mask


def pending(node: Node, masks: Sequence[Any]) -> Any:
    """Return the mask of a result, or a function that returns it, without work unless it is asked for.

    A trace that keeps no graph cannot look back from a steep call. So what a call discards is remembered, as far as
    elementwise functions carry it. It keeps the arguments of that one call, and takes them for reached: a mask that is
    too large gives nan where 0 is right, never a wrong number.
    """
    call = node.call
    primitive = call.primitive
    if primitive.discards:
        if callable(primitive.selects):
            own = _shaped(primitive.selects(call.where[0], call.where, *node.args), node.primal.shape)
            return own if own is not True else _combined(node, masks)
        ans, values = primal(node.primal), [primal(x) for x in values_of(node, call.where)]
        # Many calls may ask for it, as the entries of one array in a loop do.
        return functools.cache(lambda: _kept(call, ans, values))
    if primitive.pointwise or primitive.selects == ENTRIES:
        return _combined(node, masks)
    if primitive.selects == MOVES and (mask := masks[0]) is not True:
        return carried(node, call.where[0], known(mask))
    return True


def _combined(node: Node, masks: Sequence[Any]) -> Any:
    """Return the mask of an elementwise function if that of one argument is as good; an argument is not broadcast."""
    where = [i for i, mask in zip(node.call.where, masks, strict=True) if mask is not False]
    if not where:
        return False
    first = masks[node.call.where.index(where[0])]
    if first is True or any(masks[node.call.where.index(i)] is not first for i in where):
        return True
    return first if all(node.args[i].primal.shape == node.primal.shape for i in where) else True


def joined(call: Call, values: Sequence[Any]) -> Any:
    """Return the entries of a join that come from a traced part; part by part, n of them would take n^2 time."""
    traced = set(call.where)
    parts = [_weights(True, x) if i in traced else np.zeros(np.shape(x)) for i, x in enumerate(map(constant, values))]
    return _plain(np.not_equal(call.primitive.function(*parts, **call.kwargs), 0))


def _kept(call: Call, ans: Any, values: Sequence[Any]) -> Any:
    """Return the entries of a result that depend on a traced argument."""
    if call.primitive.push_all is not None:
        return joined(call, values)
    found: Any = False
    for i in call.where:
        jvp = call.primitive.jvp(i)
        t = None if jvp is None else jvp(_weights(True, values[i]), ans, *values, **call.kwargs)
        found = either(found, True if t is None else _shaped(_plain(np.not_equal(t, 0)), ans.shape))
    return found


# --- Functions that undo each other


def undone(node: Node) -> tuple[Call, tuple[Any, ...]]:
    """Return the call and arguments to differentiate in place of the node's own, at a steep point.

    ``sqrt(x)**2`` is ``x``: where the root is steep the chain rule gives nan, the whole has the slope 1. A primitive
    that can be steep names in ``undo`` the functions of its result that are known as functions of its argument.
    """
    for i in node.call.where:
        inner = node.args[i]
        undo = inner.call.primitive.undo
        if undo is None or inner.tape is not node.tape or not inner.args or not is_steep(inner):
            continue
        found = undo(node, inner)
        if found is not None:
            primitive, args, kwargs = found
            return Call(primitive, topmost(args), kwargs), args
    return node.call, node.args
