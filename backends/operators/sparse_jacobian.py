"""The operator ``sparse_jacobian``, derived from the few products of a colouring.

`sparse_jacobian` checks the patterns, chooses the products by `autodiff_compare.backends.sparsity.colouring`, and asks
`Backend.compressed` for the entries. `one_by_one` is the default of that method: one product after the other.

Where the function is `Expanded`, the Jacobian J of f(x) is taken from a wider one. With copies c = C x, where each row
of the matrix C holds a single 1, f(x) = rows(c) and J = R C for the Jacobian R of ``rows``. Each output uses copies of
its own, so that R has the same entries as J, in the same order, and needs fewer colours from the left. R is taken with
respect to z in rows(C x + z), at z = 0: the arguments of the prepared callable remain x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autodiff_compare.backends.operators.objective import Expanded, Objective, Prepared, Var
from autodiff_compare.backends.operators.request import BackendLike, Request
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.backends.sparsity.pattern import Pattern
from autodiff_compare.vocabulary import Operator


def sparse_jacobian(backend: BackendLike, request: Request) -> Prepared:
    """Prepare a Jacobian from as many products as its patterns have colours, from the side that needs fewer.

    Returns
    -------
    Prepared
        ``(*args) -> tuple`` of one vector per differentiated input: the entries of its pattern, in CSR order.

    Raises
    ------
    ValueError
        If the objective does not have one pattern of the right shape per differentiated input.
    """
    patterns = _patterns(backend, request)
    # From a gradient alone, a jvp costs a whole Jacobian but a vjp only one gradient.
    products = [o for o in (Operator.JVP, Operator.VJP) if o in backend.native] or [Operator.VJP]
    if isinstance(request.f, Objective) and request.f.expanded is not None and Operator.VJP in products:
        return _by_copies(backend, request, request.f.expanded, patterns)
    plan = Compression.of(patterns, products)
    if not plan.number:
        dtypes = [backend.to_numpy(x).dtype for x in request.inputs]
        return lambda *_: tuple(backend.to_var(np.zeros(0, dtype)) for dtype in dtypes)
    return backend.compressed(request, plan)


def _patterns(backend: BackendLike, request: Request) -> tuple[Pattern, ...]:
    """Return the objective's patterns once they fit the shapes of its inputs and output."""
    patterns = request.f.patterns if isinstance(request.f, Objective) else ()
    if len(patterns) != len(request.argnums):
        raise ValueError(
            f"got {len(patterns)} patterns for {len(request.argnums)} differentiated inputs, expected one for each:"
            " pass Objective(f, patterns=(Pattern.of(shape, rows, columns), ...))"
        )
    got, rows = [p.shape for p in patterns], math.prod(_output(backend, request).shape)
    expected = [(rows, math.prod(x.shape)) for x in request.inputs]
    if got != expected:
        raise ValueError(
            f"got patterns of shape {got}, expected {expected}: entries of the output by those of the input"
        )
    return patterns


def _output(backend: BackendLike, request: Request) -> Var:
    return backend.prepare(Operator.VALUE, request.f, request.args)(*request.args)


def _by_copies(backend: BackendLike, request: Request, expanded: Expanded, patterns: Sequence[Pattern]) -> Prepared:
    """Take the entries with respect to zeros that are added to the copies of the inputs."""
    parts = [[k for k, of in enumerate(expanded.of) if of == n] for n in range(len(patterns))]
    for pattern, ks in zip(patterns, parts, strict=True):
        rows = [expanded.patterns[k].rows for k in ks]
        if not rows or not np.array_equal(np.concatenate(rows), pattern.rows):
            raise ValueError(
                "got copies with other entries than the pattern, expected those of each input in its order"
            )
    data = [i for i in range(len(request.args)) if i not in request.argnums]
    zeros = [backend.to_var(np.zeros_like(backend.to_numpy(copy))) for copy in expanded.copies(*request.args)]

    def moved(*given: Var) -> Var:
        args = given[len(zeros) :]
        copies = [copy + zero for copy, zero in zip(expanded.copies(*args), given, strict=False)]
        return expanded.rows(*copies, *(args[i] for i in data))

    plan = Compression.of(expanded.patterns, [Operator.VJP])
    wider = replace(request, f=moved, args=[*zeros, *request.args], argnums=tuple(range(len(zeros))))
    run = backend.compressed(wider, plan)

    def entries(*args: Var) -> tuple[Var, ...]:
        found = run(*zeros, *args)
        return tuple(found[ks[0]] if len(ks) == 1 else backend.xp.concat([found[k] for k in ks]) for ks in parts)

    return entries


def one_by_one(backend: BackendLike, request: Request, plan: Compression) -> Prepared:
    """Prepare the entries from one call of the backend's own product per colour."""
    xp, is_jvp = backend.xp, plan.operator == Operator.JVP
    directions, index = constants(backend, request, plan)
    seeds = [[part[k, ...] for part in directions] for k in range(plan.number)]
    product = backend.prepare(plan.operator, request.f, request.args, argnums=request.argnums, directions=seeds[0])

    def entries(*args: Var) -> tuple[Var, ...]:
        found = [product(*args, *seed) for seed in seeds]
        stacked = xp.stack(found) if is_jvp else [xp.stack(list(rows)) for rows in zip(*found, strict=True)]
        sources = zip(plan.sources(stacked), index, strict=True)
        return tuple(xp.take(xp.reshape(source, (-1,)), at, axis=0) for source, at in sources)

    return entries


def constants(backend: BackendLike, request: Request, plan: Compression) -> tuple[list[Var], list[Var]]:
    """Return the constant arrays of a plan as variables.

    Returns
    -------
    tuple
        The directions of all products, ``(plan.number, *shape)`` per direction, and the positions of the entries in the
        stacked products, one int64 vector per differentiated input.
    """
    like = request.inputs if plan.operator == Operator.JVP else (_output(backend, request),)
    arrays = [backend.to_numpy(x) for x in like]
    seeds = plan.seeds([a.shape for a in arrays], [a.dtype for a in arrays])
    return [backend.to_var(s) for s in seeds], [backend.to_var(at) for at in plan.index]
