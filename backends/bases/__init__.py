"""Bases of adapters, one for each kind of system: wrapped arrays, symbolic graphs, arrays of scalars."""
