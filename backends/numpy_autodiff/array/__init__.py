"""The array that NumPy code sees: a node with operators and methods, NumPy's protocols, and the array API namespace."""
