"""Explanations: the operation at which two backends, variants or orders of modes part.

`recorder` calls an objective once and writes down every operation as a straight-line `program`. `views` makes functions
of it whose derivatives are the values, tangents and cotangents of the intermediates; `execution` computes them inside a
worker. `parting` finds the first operation whose numbers differ by more than rounding, `alone` judges that operation by
itself, and `explanation` leads through these steps. Functions of single frameworks are seen through the taps that their
author sets, `marks`.
"""
