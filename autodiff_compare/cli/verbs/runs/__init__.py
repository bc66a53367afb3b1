"""Verbs that make a run or read one: run, descend, show, report, diff, recommend."""
