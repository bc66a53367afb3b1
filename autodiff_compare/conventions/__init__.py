"""The atlas of conventions: the answer of each backend at the points where AD systems disagree.

`translation` writes a case in a backend's own functions, `observation` runs it inside the backend's worker process,
`slopes` measures the one-sided derivatives of the backend's own function, `hull` the distance of an answer from their
convex hull, and `judgement` classifies the answer. The verb `autodiff_compare.cli.verbs.conventions` sends the cases to
the workers, `autodiff_compare.summary.conventions` prints the result.
"""
