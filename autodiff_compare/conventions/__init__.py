"""The atlas of conventions, run live: what each backend answers at the points where systems disagree.

`spelling` writes a case in a backend's own functions, `observation` asks the backend inside its worker process,
`slopes` and `hull` measure the one-sided derivatives of the backend's own function, `judgement` classifies, `atlas`
takes the cases through the workers, and `show` prints.
"""
