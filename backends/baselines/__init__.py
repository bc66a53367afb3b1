"""Derivatives as one writes them by hand in each framework: what our interface is held against.

A module for each framework, named like its backend, with ``DERIVATIVES``: task of `harness.contest` -> a callable of
the task's arguments that returns its derivatives. Imported only when asked for, since each imports its framework at
once.
"""
