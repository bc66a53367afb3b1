"""Figures of a run for Python and notebooks: each function draws a tidy frame and returns matplotlib axes.

Matplotlib, not a library of web figures: axes can be labelled, combined and saved as PDF by what every reader of a
paper has installed, and the report already draws with it. The page of a report has the figures to touch.
"""
