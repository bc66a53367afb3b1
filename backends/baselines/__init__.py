"""Hand-written baselines: the same derivatives as a user writes them in each framework, without our interface.

One module per framework, named like its backend. Its ``DERIVATIVES`` maps a task of ``compare.py overhead`` to a
callable of the task's arguments that returns the derivatives. A module imports its framework at once, so it is
imported on demand only, by `autodiff_compare.backends.registry.baseline`.
"""
