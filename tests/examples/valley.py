"""The least that a file can say: a function, and the point at which it is differentiated."""


def objective(x, y, xp, steepness=2.0):
    """A valley that bends."""
    return steepness * xp.sum((x - 1) ** 2 * xp.exp(y)) + xp.sum(x[1:] * y[:-1])


x = [1.0, 2.0, 0.0]
y = [0.5, 1.5, 3.0]
