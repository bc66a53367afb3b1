"""A descent as a moving picture: the point at its left, the loss so far at its right, in one GIF.

The frames are recorded steps, evenly spaced on a log scale of iterations, as a descent slows down. What stands at the
left depends on the problem: the fitted curve, the product X Y, a path in the plane, followed quantities, or the entries
of the point.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from autodiff_compare.backends import PLAIN
from autodiff_compare.problems import Array, Problem
from autodiff_compare.report.page import style, wording
from autodiff_compare.results import formatting
from autodiff_compare.results.replacing import replacing
from autodiff_compare.studies.trace import Step, Trace

#: Frames, and milliseconds for which each of them and the last one stays.
_FRAMES, _FRAME_MS, _LAST_MS = 40, 110, 2000
#: Points along each axis of the plane in which a path is drawn.
_GRID = 60
#: Most entries of a point that are drawn as bars.
_MOST_BARS = 60
#: Size of an entry above which its field is dark.
_DARK = 0.6

#: Draws the state of one step, given its number among the steps that are shown.
Draw = Callable[[int], None]


def write(problem: Problem, trace: Trace, path: pathlib.Path) -> None:
    """Write a descent as a GIF.

    Parameters
    ----------
    problem
        The problem.
    trace
        Its descent; each step has the entries of its point as ``point``.
    path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    steps = _chosen(trace)
    with style.drawing():
        about = wording.label(f"{trace.descent}, start {trace.start}, {trace.backend} {trace.dtype}", 90)
        figure, (left, right) = style.canvas(
            trace.problem, about=about, panels=(1, 2), panel=(3.3, 2.5), gap=(0.75, 0), room=0.2
        )
        drawn = (_state(left, problem, trace, steps), _losses(right, steps))
        images = [_image(figure, drawn, k) for k in range(len(steps))]
    times = [_FRAME_MS] * (len(images) - 1) + [_LAST_MS]
    with replacing(path) as temporary:
        images[0].save(temporary, save_all=True, append_images=images[1:], duration=times, loop=0)


def _image(figure: Figure, drawn: Sequence[Draw], k: int) -> Image.Image:
    """Return a frame in the few colours of a GIF."""
    # The median cut, Pillow's default, mixes the colour of a small marker with its surroundings.
    for draw in drawn:
        draw(k)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).quantize(
        64, method=Image.Quantize.MAXCOVERAGE
    )


def _chosen(trace: Trace) -> list[Step]:
    """Return the steps of the frames, evenly spaced on a log scale of iterations, with the first and the last."""
    steps = [step for step in trace.steps if math.isfinite(step.loss) and "point" in step.extra] or [*trace.steps]
    kept = [step.iteration for step in steps]
    wanted = np.unique(np.rint(np.geomspace(1, kept[-1] + 1, _FRAMES)).astype(int) - 1)
    chosen = dict.fromkeys(np.minimum(np.searchsorted(kept, wanted), len(steps) - 1).tolist())
    return [steps[k] for k in chosen]


def _losses(ax: Axes, steps: Sequence[Step]) -> Draw:
    """Prepare the loss over the iterations, which grows from frame to frame."""
    n, loss = np.array([s.iteration + 1 for s in steps]), np.array([s.loss for s in steps])
    style.log_axis(ax.xaxis, n, formatting.number)
    if (loss > 0).all():
        style.log_axis(ax.yaxis, loss, formatting.number)
    ax.plot(n, loss, color=style.GRID, lw=1.2)
    (line,), (dot,) = ax.plot([], [], color=style.BLUE, lw=1.6), ax.plot([], [], "o", color=style.BLUE, ms=5)
    ax.set_xlabel("iteration + 1")
    ax.set_ylabel("loss")
    title = ax.set_title("", loc="left", pad=3)

    def draw(k: int) -> None:
        line.set_data(n[: k + 1], loss[: k + 1])
        dot.set_data(n[k : k + 1], loss[k : k + 1])
        title.set_text(f"iteration {steps[k].iteration}: loss {loss[k]:.3g}")

    return draw


def _state(ax: Axes, problem: Problem, trace: Trace, steps: Sequence[Step]) -> Draw:
    """Prepare the picture of the state that suits the problem."""
    points = [np.asarray(step.extra.get("point", ())) for step in steps]
    if problem.name in _PICTURES:
        return _PICTURES[problem.name](ax, trace, points)
    name = next((n for n, v in steps[0].extra.items() if n not in ("restart", "point") and 1 < np.size(v) <= 6), "")
    if name:
        return _followed(ax, trace, name, steps)
    if points[0].size == 2 and problem.objective is not None:
        return _path(ax, partial(_value, problem, trace), np.array(points))
    return _bars(ax, points)


def _curve(ax: Axes, trace: Trace, points: Sequence[Array]) -> Draw:
    """Prepare the cubic over the sine that it is fitted to."""
    x, y = (a.astype(np.float64) for a in trace.data)
    ax.plot(x, y, color=style.SOFT, lw=1.2, ls=(0, (5, 2)))
    (line,) = ax.plot(x, y, color=style.VERMILLION, lw=1.8)
    ax.set_ylim(2 * y.min() - 0.5, 2 * y.max() + 0.5)
    ax.set_title("the cubic, and the sine (dashed)", loc="left", pad=3)

    def draw(k: int) -> None:
        line.set_data(x, np.polyval(points[k], x))

    return draw


def _product(ax: Axes, trace: Trace, points: Sequence[Array]) -> Draw:
    """Prepare the product X Y, which becomes the identity."""
    X = trace.data[0].astype(np.float64)
    image = ax.imshow(np.eye(len(X)), vmin=-1, vmax=1, cmap="RdBu_r")
    texts = [[ax.text(j, i, "", ha="center", va="center", fontsize=8) for j in range(len(X))] for i in range(len(X))]
    ax.set_title("X Y, coloured from -1 (blue) to 1 (red)", loc="left", pad=3)
    ax.set_xticks([])
    ax.set_yticks([])

    def draw(k: int) -> None:
        product = X @ points[k].reshape(X.shape)
        image.set_data(product)
        for i, row in enumerate(texts):
            for j, text in enumerate(row):
                text.set_text(f"{product[i, j]:.2f}" if len(X) <= 5 else "")
                text.set_color(style.PAPER if abs(product[i, j]) > _DARK else style.INK)

    return draw


def _followed(ax: Axes, trace: Trace, name: str, steps: Sequence[Step]) -> Draw:
    """Prepare the followed quantities over the iterations, with their target if they have one."""
    n = np.array([step.iteration + 1 for step in steps])
    values = np.array([np.ravel(step.extra[name]) for step in steps])
    target = trace.data[0] if trace.data and np.shape(trace.data[0]) == values[0].shape else ()
    for aim in target:
        ax.axhline(float(aim), color=style.SOFT, lw=0.9, ls=(0, (6, 3)))
    lines = [ax.plot([], [], lw=1.6)[0] for _ in values[0]]
    style.log_axis(ax.xaxis, n, formatting.number)
    pad = 0.06 * float(np.ptp(values)) or 0.5
    ax.set_ylim(values.min() - pad, values.max() + pad)
    ax.set_xlabel("iteration + 1")
    ax.set_title(wording.label(name) + (", targets dashed" if len(target) else ""), loc="left", pad=3)

    def draw(k: int) -> None:
        for line, column in zip(lines, values.T, strict=True):
            line.set_data(n[: k + 1], column[: k + 1])

    return draw


def _value(problem: Problem, trace: Trace, point: Array) -> float:
    """Return the objective at a point in plain NumPy; nan where it fails."""
    parts = np.split(point, np.cumsum([a.size for a in trace.first_point])[:-1])
    arrays = [p.reshape(a.shape) for p, a in zip(parts, trace.first_point, strict=True)]
    try:
        with np.errstate(all="ignore"):
            return float(problem.function(PLAIN, {})(*arrays, *trace.data))
    except Exception:  # outside its domain a user's function may raise anything
        return math.nan


def _path(ax: Axes, value: Callable[[Array], float], points: Array) -> Draw:
    """Prepare the path in the plane, over contours of the objective."""
    pad = 0.25 * np.ptp(points, axis=0) + 0.1 * (np.ptp(points) or 1.0)
    x, y = (np.linspace(points[:, k].min() - pad[k], points[:, k].max() + pad[k], _GRID) for k in range(2))
    heights = np.array([[value(np.array([a, b])) for a in x] for b in y])
    if np.isfinite(heights).any():
        # Levels by rank: of a steep function equally spaced ones would all lie at its edge.
        levels = np.unique(np.nanquantile(heights[np.isfinite(heights)], np.linspace(0.02, 0.98, 14)))
        ax.contour(x, y, heights, levels=levels, colors=style.SOFT, linewidths=0.5, alpha=0.6)
    (line,), (dot,) = ax.plot([], [], color=style.VERMILLION, lw=1.4), ax.plot([], [], "o", color=style.VERMILLION)
    ax.grid(False)
    ax.set_xlabel("entry 0")
    ax.set_ylabel("entry 1")
    ax.set_title("the point, over contours of the loss", loc="left", pad=3)

    def draw(k: int) -> None:
        line.set_data(points[: k + 1, 0], points[: k + 1, 1])
        dot.set_data(points[k : k + 1, 0], points[k : k + 1, 1])

    return draw


def _bars(ax: Axes, points: Sequence[Array]) -> Draw:
    """Prepare the entries of the point as bars."""
    shown = np.array([p[:_MOST_BARS] for p in points])
    bars = ax.bar(np.arange(shown.shape[1]), shown[0], color=style.VERMILLION)
    pad = 0.06 * float(np.ptp(shown)) or 0.5
    ax.set_ylim(min(0.0, shown.min()) - pad, max(0.0, shown.max()) + pad)
    rest = f", the first {_MOST_BARS}" if points[0].size > _MOST_BARS else ""
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.set_xlabel("entry")
    ax.set_title(f"the entries of the point{rest}", loc="left", pad=3)

    def draw(k: int) -> None:
        for bar, height in zip(bars, shown[k], strict=True):
            bar.set_height(height)

    return draw


_PICTURES: dict[str, Callable[[Axes, Trace, Sequence[Array]], Draw]] = {
    "cubic_fit": _curve,
    "matrix_inverse_absolute": _product,
    "matrix_inverse_squared": _product,
}
