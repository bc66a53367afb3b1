"""Explanations: the operation at which two backends, variants or orders of modes part.

`recording` calls an objective once, writes down every operation as a straight-line program, and makes functions of it
whose derivatives are the values, tangents and cotangents of the intermediates. `evaluation` computes them inside a
worker. `parting` finds what differs by more than rounding, `search` leads through the stages to the first operation
that does, and `alone` judges that operation by itself. Functions of single frameworks are seen through the taps that
their author sets: `marks` in the worker, `marked` for the search. `session` begins with names, `wording` ends in words.
"""
