"""Operators: what a backend is asked for, and how it is built from the operators that a backend has natively."""
