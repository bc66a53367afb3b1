"""`no_grad` holds for its block, and for no code that runs while a generator inside the block is suspended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, no_grad
from autodiff_compare.backends.numpy_autodiff.transforms.no_grad import _blocks


def slope_here() -> Any:
    """Return the gradient of x^2 at 3 as it is recorded here: 6, or None inside a block."""
    x = Variable(3.0)
    (x * x).backward()
    return x.grad


@contextlib.contextmanager
def evaluating() -> Iterator[None]:
    with no_grad():
        yield


def _inside() -> Iterator[int]:
    with no_grad():
        for i in range(3):
            assert slope_here() is None
            yield i


def _after_the_block() -> Iterator[int]:
    with no_grad():
        yield 0
    assert slope_here() == 6.0
    yield 1


def _by_a_stack() -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_grad())
        yield 0


def _by_a_context_manager() -> Iterator[int]:
    with evaluating():
        assert slope_here() is None
        yield 0


def _delegated() -> Iterator[int]:
    with no_grad():
        yield from _inside()


def _twice() -> Iterator[Any]:
    return zip(_inside(), _inside(), strict=True)


GENERATORS = [_inside, _after_the_block, _by_a_stack, _by_a_context_manager, _delegated, _twice]


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_block_in_a_generator_does_not_reach_the_consumer(generator: Callable[[], Iterator[Any]]) -> None:
    for _ in generator():
        assert slope_here() == 6.0
    assert slope_here() == 6.0
    with no_grad():
        for _ in generator() if generator is not _after_the_block else ():
            assert slope_here() is None
        assert slope_here() is None
    assert slope_here() == 6.0


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_generator_that_is_not_finished(generator: Callable[[], Iterator[Any]]) -> None:
    left = generator()
    next(left)
    assert slope_here() == 6.0
    del left
    assert slope_here() == 6.0
    first, second = generator(), generator()
    next(first)
    next(second)
    with no_grad():
        del first
        assert slope_here() is None
    del second
    assert slope_here() == 6.0


def test_a_generator_that_is_finished_elsewhere() -> None:
    left = _by_a_stack()
    next(left)
    thread = threading.Thread(target=lambda: list(left))
    thread.start()
    thread.join()
    assert slope_here() == 6.0
    # Python 3.11 leaves the frame of a finished generator without a caller, so that an open block has no effect either.
    assert all(block.ended for block in _blocks.get())
    with no_grad():
        assert slope_here() is None


def test_a_context_manager_of_its_own_holds_for_its_block() -> None:
    with evaluating():
        assert slope_here() is None
    assert slope_here() == 6.0
    with contextlib.ExitStack() as stack:
        stack.enter_context(evaluating())
        assert slope_here() is None
    assert slope_here() == 6.0


def test_blocks_nest_and_end_with_an_error() -> None:
    block = no_grad()
    with block, block:
        assert slope_here() is None
    with contextlib.suppress(KeyError), no_grad(), no_grad():
        raise KeyError
    assert slope_here() == 6.0


def test_as_a_decorator() -> None:
    @no_grad()
    def inside(n: int) -> Any:
        return inside(n - 1) if n else slope_here()

    assert inside(3) is None
    assert slope_here() == 6.0


def test_a_generator_consumed_inside_the_block() -> None:
    with no_grad():
        assert [slope_here() for _ in range(2)] == [None, None]
        assert next(slope_here() for _ in range(2)) is None


def test_threads_have_blocks_of_their_own() -> None:
    found: list[Any] = []
    with no_grad():
        thread = threading.Thread(target=lambda: found.append(slope_here()))
        thread.start()
        thread.join()
    assert found == [6.0]


def test_coroutines() -> None:
    async def steps() -> AsyncIterator[int]:
        with no_grad():
            assert slope_here() is None
            yield 0
            yield 1

    async def inner() -> Any:
        await asyncio.sleep(0)
        return slope_here()

    async def outer() -> list[Any]:
        found = [slope_here() async for _ in steps()]
        with no_grad():
            found.append(await inner())
        return [*found, await inner()]

    assert asyncio.run(outer()) == [6.0, 6.0, None, 6.0]


def test_values_are_as_without_a_block() -> None:
    x = Variable([1.0, 2.0])
    with no_grad():
        y = np.sum(x * x)
    assert y.value == 5.0
