"""Derivatives at singular points: one-sided derivatives, subdifferentials, and the distance of an answer from them.

The judge and the atlas of conventions both use this folder, so that they have one notion of a derivative: the slopes of
the function itself, whatever formula computes it.
"""
