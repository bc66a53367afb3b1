"""The atlas of conventions: the answer of each backend at the points where AD systems disagree.

`translation` writes a case in a backend's own functions, `observation` runs it inside the backend's worker process, and
`judgement` classifies the answer. The atlas and the judge share one notion of the derivative at a singular point,
`autodiff_compare.judge.singular`: `slopes` measures the one-sided derivatives of a function, `hull` the distance of an
answer from their convex hull. The verb `autodiff_compare.cli.verbs.trials.conventions` sends the cases to the workers,
`autodiff_compare.summary.conventions` prints the result.
"""
