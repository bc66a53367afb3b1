"""TensorFlow's tapes and accumulators as nestable transforms, for `autodiff_compare.backends.operators.orders`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.operators import Differentiated

Var = Any
Function = Callable[..., Any]


@final
class Transforms:
    """An implementation of `autodiff_compare.backends.operators.orders.Transforms`.

    A tape or an accumulator tracks tensors by their id, so each level of nesting works on copies.
    """

    def __init__(self, *, vectorized: bool) -> None:
        self._vectorized = vectorized

    def grad(self, f: Function, argnums: tuple[int, ...]) -> Function:
        def gradient(*args: Var) -> tuple[Var, ...]:
            p, fresh = self._of(f, argnums, args)
            xs = [fresh[i] for i in argnums]
            with p.tape() as tape:
                tape.watch(xs)
                y = p.scalar(fresh)
            return p.reverse(tape, y, xs)

        return gradient

    def jvp(self, f: Function, primals: Sequence[Var], tangents: Sequence[Var]) -> tuple[Any, Any]:
        p, xs = self._of(f, tuple(range(len(primals))), primals)
        with tf.autodiff.ForwardAccumulator(xs, list(tangents)) as forward:
            y = f(*xs)
        return y, tf.nest.map_structure(lambda part: p.tangent(forward, part), y)

    def vjp(self, f: Function, *primals: Var) -> tuple[Any, Function]:
        p, xs = self._of(f, tuple(range(len(primals))), primals)
        with p.tape(persistent=True) as tape:
            tape.watch(xs)
            y = f(*xs)
        return y, lambda cotangent: p.reverse(tape, y, xs, cotangent)

    def jacfwd(self, f: Function, argnums: tuple[int, ...]) -> Function:
        def jacobian(*args: Var) -> Any:
            def chosen(*xs: Var) -> Any:
                return f(*(xs[argnums.index(i)] if i in argnums else a for i, a in enumerate(args)))

            xs = [args[i] for i in argnums]
            sizes = [x.shape.num_elements() for x in xs]
            if not sum(sizes):
                return tf.nest.map_structure(lambda y: _blocks(tf.zeros((0, *y.shape), y.dtype), xs), chosen(*xs))

            def along(direction: Var) -> Any:
                parts = zip(tf.split(direction, sizes), xs, strict=True)
                return self.jvp(chosen, xs, [tf.reshape(part, x.shape) for part, x in parts])[1]

            units = tf.eye(sum(sizes), dtype=xs[0].dtype)
            # Vectorized, so that there is one trace for any number of directions: a Hessian of 39 inputs takes 7 s to
            # prepare, and 512 s unrolled.
            if self._vectorized:
                slopes = tf.vectorized_map(along, units, fallback_to_while_loop=False)
            else:
                slopes = tf.nest.map_structure(lambda *rows: tf.stack(rows), *map(along, tf.unstack(units)))
            return tf.nest.map_structure(lambda rows: _blocks(rows, xs), slopes)

        return jacobian

    def jacrev(self, f: Function, argnums: tuple[int, ...]) -> Function:
        def jacobian(*args: Var) -> Any:
            p, fresh = self._of(f, argnums, args)
            xs = [fresh[i] for i in argnums]
            with p.tape(persistent=True) as tape:
                tape.watch(xs)
                y = f(*fresh)
            if isinstance(y, tuple):
                return tuple(p.jacobian(tape, (part,), xs) for part in y)
            return p.jacobian(tape, (y,), xs)

        return jacobian

    def _of(self, f: Function, argnums: tuple[int, ...], args: Sequence[Var]) -> tuple[Differentiated, list[Var]]:
        return Differentiated(tf, f, argnums, len(args), self._vectorized), [tf.identity(a) for a in args]


def _blocks(slopes: Var, xs: Sequence[Var]) -> tuple[Var, ...]:
    """Split the slopes of y along every entry of the joined inputs into blocks ``y.shape + x.shape``."""
    sizes, last = [x.shape.num_elements() for x in xs], [*range(1, slopes.shape.rank), 0]
    parts = zip(tf.split(tf.transpose(slopes, last), sizes, axis=-1), xs, strict=True)
    return tuple(tf.reshape(part, tuple(slopes.shape)[1:] + tuple(x.shape)) for part, x in parts)
