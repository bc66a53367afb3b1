"""Studies beyond the comparison of derivatives: each runs a whole computation on every backend.

`descent` minimises a problem (matrix inverse, eigenvalue targeting, cubic fit), `robot_arm` differentiates the pose of
an arm, `tape` asks each system about its interface, `eigenvalues` finds the triangle of a matrix that a backend reads.
`updates` holds the loops of a descent, `trace` what it records. `records` writes the rows of descents, `tables` makes
their tables.
"""
