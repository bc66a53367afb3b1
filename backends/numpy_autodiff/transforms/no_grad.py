"""`no_grad`: blocks in which operations on variables are not recorded.

A block that is entered in a generator must not reach the consumer, whose code runs between two steps of the generator
and in the same context::

    def batches():
        with no_grad():
            for batch in data:
                yield prepare(batch)

    for batch in batches():
        loss(batch).backward()  # recorded, although the block is still open

So the blocks of a context are a tuple in a context variable, and each block remembers the generator that entered it.
While that generator is suspended its frame has no caller, and the block has no effect. A generator that is not finished
or closed in another thread leaves nothing behind, since a block that has ended has no effect anywhere: it is ended by
what entered it, not by the context. (From Python 3.12 on the frame of a generator that was finished keeps its caller.)

A function decorated with `contextlib.contextmanager` is a generator as well, but its consumer is meant to be inside the
block. Its frame is resumed by `contextlib`, which tells the two apart.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import sys
from types import FrameType
from typing import Any, final


@final
class _Block:
    """One entered block, and the frames of the generators that it depends on."""

    __slots__ = ("ended", "generators")

    def __init__(self, generators: tuple[FrameType, ...]) -> None:
        self.generators = generators
        self.ended = False

    def has_effect(self) -> bool:
        return not self.ended and all(frame.f_back is not None for frame in self.generators)


_blocks: contextvars.ContextVar[tuple[_Block, ...]] = contextvars.ContextVar("no_grad_blocks", default=())


def is_recording() -> bool:
    """Return whether no block of `no_grad` has an effect here."""
    blocks = _blocks.get()
    return not blocks or not any(block.has_effect() for block in blocks)


def _generators(frame: FrameType | None) -> tuple[FrameType, ...]:
    """Return the frames of the generators that run in ``frame`` or one of its callers, without context managers."""
    found = []
    while frame is not None:
        caller = frame.f_back
        if frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            manages_context = caller is not None and caller.f_globals.get("__name__") == contextlib.__name__
            if not manages_context:
                found.append(frame)
        frame = caller
    return tuple(found)


@final
class _NoGrad(contextlib.ContextDecorator):
    def __init__(self) -> None:
        #: The blocks that it entered and has not left, in any context.
        self._entered: list[_Block] = []

    def _recreate_cm(self) -> _NoGrad:
        # A decorated function may run in several threads, and call itself.
        return _NoGrad()

    def __enter__(self) -> None:
        block = _Block(_generators(sys._getframe(1)))
        self._entered.append(block)
        _blocks.set((*_blocks.get(), block))

    def __exit__(self, *_: Any) -> None:
        blocks = _blocks.get()
        here = [block for block in blocks if block in self._entered]
        block = (here or self._entered)[-1]
        self._entered.remove(block)
        block.ended, block.generators = True, ()
        _blocks.set(tuple(block for block in blocks if not block.ended))


def no_grad() -> _NoGrad:
    """Record nothing: operations on variables return new variables without history.

    Used as ``with no_grad():`` or as the decorator ``@no_grad()``. A block that a generator enters has an effect while
    that generator runs, not on the code that iterates over it.
    """
    return _NoGrad()
