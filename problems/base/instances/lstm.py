"""LSTM instances in ADBench's format: a character sequence and the parameters of a network.

The first line is ``l c b``: layers, characters, and numbers in a character. Then come:

- 2 l lines of 4 b main parameters, the weights and the biases of each layer;
- 3 lines of b extra parameters: factors of the input and of the output, offsets of the output;
- 2 l lines of b numbers for the state, hidden and cell of each layer;
- c lines with a character of b numbers each.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems.base.instances.text import Text

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sequence:
    """The numbers of a file: main (2 l, 4 b), extra (3, b), state (2 l, b), text (c, b)."""

    main: Array
    extra: Array
    state: Array
    text: Array


def read(path: pathlib.Path) -> Sequence:
    """Read one instance.

    Raises
    ------
    InstanceError
        If the file is not of this format.
    """
    lines = Text(path)
    layers, characters, width = lines.counts("l c b")
    if characters < 2:
        lines.fail(f"a sequence of {characters}", "2 characters or more, to predict one from the other")
    found = Sequence(
        lines.table("the main parameters", 2 * layers, 4 * width),
        lines.table("the extra parameters", 3, width),
        lines.table("the state", 2 * layers, width),
        lines.table("the characters", characters, width),
    )
    lines.end()
    return found
