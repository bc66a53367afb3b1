"""Transforms: functions that take a function and return a derivative of it. All of them nest in any order.

Every transform begins with a `recording`, the run of a function under a trace. The transforms are in `gradient`, `vjp`,
`jvp` and `jacobian`; `custom` has custom rules, `checkpoint` functions that are computed again, `backward` the style
with ``.grad``, and `no_grad` the blocks that record nothing. `arguments` finds the differentiated arguments.

``argnums`` is the position of the differentiated argument (0 by default) or a tuple of positions. An argument may be an
array, a number, or nested tuples, lists and dicts of them. With ``has_aux`` the function returns ``(output, aux)`` and
``aux`` is passed through. Gradients of complex arguments are ``dL/da + i dL/db``.
"""
