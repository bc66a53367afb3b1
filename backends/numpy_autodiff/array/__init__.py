"""The array that NumPy code sees: operators, methods, NumPy's protocols, and the array API namespace."""
