"""How far each part of a network went from the weights that its training started from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import over_minima
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, grouped, scale, t_band
from landscape.plots.drawing.style import PAPER, drawing_of, empty, style_of, styled, text
from landscape.records import Array, DisplacementRecord, Part

MOST = 24  # rows; of a larger network modules stand together
ROW = 0.15  # inches
SPREAD = 0.22  # of a row, that the methods stand above and below its middle
LABELS = ("‖w − w₀‖ / ‖w₀‖", "‖w − w₀‖")
Rows = dict[Part, Array]  # part -> its number of each seed


@styled
def displacement(
    records: ByMethod[DisplacementRecord],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """‖w − w₀‖ / ‖w₀‖ and ‖w − w₀‖ of each part, from the input to the output, a line per method.

    Parts are modules, or what their names begin with where they are more than 24. Marks are means
    over seeds with their 95 % t interval. Frozen parts stay where they were and have no mark, nor a
    row where another method trains them; drawn ones, with hollow marks, started from random
    weights. More than three methods on a figure of their own: small multiples.

    Raises ValueError where the seeds of a method are of different networks.
    """
    groups = grouped(records, DisplacementRecord)
    depth = depth_of(record for group in groups.values() for record in group)
    numbers = {method: _numbers(method, group, depth) for method, group in groups.items()}
    rows = _rows([by_kind[0] for by_kind in numbers.values()])
    offsets = SPREAD * np.linspace(-1, 1, len(groups)) if len(groups) > 1 else [0.0]

    def draw(panel: Axes, kind: int) -> None:
        means = [
            _method(panel, method, rows, by_kind[kind], offset)
            for (method, by_kind), offset in zip(numbers.items(), offsets, strict=True)
        ]
        panel.set(xlabel=LABELS[kind], ylim=(len(rows) - 0.5, -0.5))
        panel.set_yticks(range(len(rows)), [text(part.label) for part in rows])
        if not np.isfinite(np.concatenate(means)).any():
            empty(panel, "every part is frozen, or its start is not known")
        elif scale(np.concatenate(means)) == "log":
            panel.set_xscale("log")
        else:
            panel.set_xlim(left=0.0)

    words = [
        over_minima(groups).replace("band", "bar"),
        "hollow: drawn at the start" if any(part.drawn for part in rows) else "",
        "frozen parts have no mark"
        if any(part.frozen for by_kind in numbers.values() for part in by_kind[0])
        else "",
    ]
    height = ROW * (len(rows) + 2)
    return curves_page(
        groups, len(LABELS), draw, " · ".join(filter(None, words)), ax=ax, baseline=baseline,
        height=0.5 + height, small=height,
    ).figure  # fmt: skip


def depth_of(records: Iterable[DisplacementRecord]) -> int | None:
    """Words of a module's name by which parts are told apart: as many as leave `MOST` parts."""
    held = list(records)
    deepest = max(str(name).count(".") for record in held for name in record.parameters)
    for depth in (None, *range(deepest - 1, 1, -1)):
        if len({part for record in held for part in record.parts(depth)}) <= MOST:
            return depth
    return 1


def _numbers(
    method: str, group: Sequence[DisplacementRecord], depth: int | None
) -> tuple[Rows, Rows]:
    """Relative distances and distances by part, an entry for each seed; NaN for a frozen part."""
    each = [record.parts(depth) for record in group]
    if any(list(parts) != list(each[0]) for parts in each):
        raise ValueError(f"`records` of {method or 'one method'} must be of one network.")
    relative, distance = Rows(), Rows()
    for part in each[0]:
        found = np.array([parts[part] for parts in each])
        found = np.full_like(found, np.nan) if part.frozen else found
        distance[part], relative[part] = found.T
    return relative, distance


def _rows(methods: Sequence[Rows]) -> list[Part]:
    """Every part of any method, by module; a frozen one where nothing of the module is trained, or
    the rest of it by the same method.
    """
    every = list(dict.fromkeys(part for parts in methods for part in parts))
    modules = list(dict.fromkeys(part.module for part in every))
    rows = [
        part
        for part in every
        if not part.frozen
        or (rest := replace(part, frozen=False)) not in every
        or any(part in parts and rest in parts for parts in methods)
    ]
    return sorted(rows, key=lambda part: modules.index(part.module))


def _method(
    ax: Axes, method: str, rows: Sequence[Part], values: Mapping[Part, Array], offset: float
) -> Array:
    """Draw a method's numbers over the rows; their means (rows,)."""
    nothing = np.full(len(next(iter(values.values()))), np.nan)
    mean, low, high = t_band(np.column_stack([values.get(part, nothing) for part in rows]))
    drawn, style = np.array([part.drawn for part in rows]), style_of(method)
    place = np.arange(len(rows)) + offset
    with drawing_of(ax, method, [part.label for part in rows]):
        ax.hlines(place, low, high, color=style.colour, linewidth=1.2)
        for mask, face in ((~drawn, "auto"), (drawn, PAPER)):
            at = np.where(mask, mean, np.nan)
            ax.plot(at, place, color=style.colour, marker=style.marker, markerfacecolor=face)
    return mean
