"""Figures that answer to the pointer: method, seed and value. Plotly, one figure for each panel.

A panel of its own can stand beside the next or under it, as the reader's page is wide. The records
come as method -> seed -> record. Colours are those of paper; a page may map them to its theme.
Every trace has its method as `meta`.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from landscape.plots.density import BELOW, FAR, ROOT, band, common_grid
from landscape.plots.drawing.bands import QUANTITIES
from landscape.plots.drawing.levels import rounded
from landscape.plots.drawing.prepare import SPLITS, axis_label, scale, shown, t_band
from landscape.plots.drawing.style import GRID, INK, style_of
from landscape.plots.noise import UNITS
from landscape.plots.scatter import GAP, chosen_measures, title
from landscape.records import (
    Array,
    ComparisonRecord,
    EigenvaluesRecord,
    NoiseRecord,
    Record,
    SpectralDensityRecord,
    StudyRecord,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

T = TypeVar("T", bound=Record)
BySeed: TypeAlias = Mapping[str, Mapping[int, T]]
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond",
    "P": "cross", "X": "x", "<": "triangle-left", ">": "triangle-right", "p": "pentagon",
    "h": "hexagon", "d": "diamond-tall", "*": "star", "8": "octagon", "H": "hexagon2",
}  # fmt: skip
MUTED = "#808890"  # readable on paper and on a dark page
WIDTH = 0.7  # of a method's slot that its seeds share


def spectrum(records: BySeed[EigenvaluesRecord]) -> list["Figure"]:
    """Draw one slot per method, one column per seed; hollow: negative; bars: residual bounds."""
    everything = np.concatenate(
        [r.values for by_seed in records.values() for r in by_seed.values()]
    )
    to = Symmetric(everything)
    traces = []
    for slot, (method, by_seed) in enumerate(records.items()):
        for i, (seed, record) in enumerate(by_seed.items()):
            x = slot + WIDTH / len(by_seed) * (i - (len(by_seed) - 1) / 2)
            traces.append(_eigenvalues(method, seed, record, x, to))
    names = [label(method) for method in records]
    axes = {
        "xaxis": {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False,
                  "range": [-0.5, len(names) - 0.5], "title": ""},
        "yaxis": {"title": "eigenvalue of the Hessian", "zeroline": True, **to.ticks},
    }  # fmt: skip
    return [_figure(traces, axes)]


def _eigenvalues(
    method: str, seed: int, record: EigenvaluesRecord, x: float, to: "Symmetric"
) -> dict[str, Any]:
    values, bounds = np.asarray(record.values, dtype=float), np.nan_to_num(record.bounds)
    words = [
        f"{v:.4g} ± {b:.2g}{'' if done else ', not converged'}"
        for v, b, done in zip(values, bounds, record.converged, strict=True)
    ]
    y = to(values)
    marker = _marker(method, 6)
    signs = zip(values, record.converged, strict=True)
    marker["symbol"] = ["x" if not done else f"circle{'-open' * bool(v < 0)}" for v, done in signs]
    return {
        "type": "scatter", "mode": "markers", "x": [x] * len(y), "y": _plain(y), "meta": method,
        "marker": marker, "customdata": words, "showlegend": False,
        "error_y": {"type": "data", "array": _plain(to(values + bounds) - y), "symmetric": False,
                    "arrayminus": _plain(y - to(values - bounds)), "thickness": 1, "width": 2,
                    "color": style_of(method).colour},
        "hovertemplate": f"{label(method)}, seed {seed}<br>λ = %{{customdata}}<extra></extra>",
    }  # fmt: skip


def density(records: BySeed[SpectralDensityRecord]) -> list["Figure"]:
    """Density of all eigenvalues, the mean over seeds with its band, where one kernel serves all.

    Where the kernels differ too much for that, nothing: the static figure has each with its own.
    """
    flat = [record for by_seed in records.values() for record in by_seed.values()]
    sigma = max(record.width for record in flat)
    if sigma > FAR * min(record.width for record in flat):
        return []
    lowest = min(1 / (record.n * sigma * ROOT) for record in flat) / BELOW
    traces, top = [], 0.0
    for method, by_seed in records.items():
        grid = common_grid(list(by_seed.values()), sigma)
        mean, low, high = band(list(by_seed.values()), grid, sigma)
        mean, low, high = (np.maximum(end, lowest) for end in (mean, low, high))
        line = _line(method, grid, mean, (low, high), (), "lines")
        line[-1]["hovertemplate"] = f"{label(method)}<br>%{{y:.2g}} at %{{x:.4g}}<extra></extra>"
        traces += line
        top = max(top, float(mean.max()))
    axes = {
        "xaxis": {"title": "eigenvalue", "zeroline": True},
        "yaxis": {"title": "density", "type": "log", "exponentformat": "power", "dtick": 1,
                  "range": [float(np.log10(lowest)), float(np.log10(3 * top))]},
    }  # fmt: skip
    return [_figure(traces, axes)]


def noise(records: BySeed[NoiseRecord]) -> list["Figure"]:
    """Accuracy and loss under noise: the mean over seeds, each with its mean over draws."""
    return [panel for quantity in QUANTITIES if (panel := _noise(records, quantity)) is not None]


def _noise(records: BySeed[NoiseRecord], quantity: str) -> "Figure | None":
    traces, means = [], []
    flat = [record for by_seed in records.values() for record in by_seed.values()]
    over_draws = max(len(by_seed) for by_seed in records.values()) == 1
    for method, by_seed in records.items():
        each = [shown(quantity, getattr(record, quantity)) for record in by_seed.values()]
        samples = each[0].T if over_draws else np.stack([v.mean(axis=1) for v in each])
        mean, low, high = t_band(samples)
        sigma = next(iter(by_seed.values())).sigma
        seeds = [v.mean(axis=1) for v in each]
        words = [
            f"σ = {s:g}: {_interval(mean[i], low[i], high[i])}"
            + "".join(f"<br>seed {k}: {v[i]:.4g}" for k, v in zip(by_seed, seeds, strict=True))
            for i, s in enumerate(sigma)
        ]
        traces += _line(method, np.sqrt(sigma), mean, (low, high), words)
        means.append(mean)
    values = np.concatenate(means)
    if not np.isfinite(values).any():
        return None
    levels = np.unique(np.concatenate([record.sigma for record in flat]))
    unit = " / ".join(sorted({UNITS.get(record.scale, record.scale) for record in flat}))
    axes = {
        "xaxis": {"title": f"noise σ,<br>{unit}", **_apart(np.sqrt(levels), levels)},
        "yaxis": {"title": _named(quantity, flat)},
    }
    if quantity == "loss":
        axes["yaxis"]["type"] = scale(values)
    else:  # an interval may reach beyond what an accuracy can be
        axes["yaxis"]["autorangeoptions"] = {"clipmin": -2.0, "clipmax": 102.0}
    return _figure(traces, axes)


def scatter(study: StudyRecord, comparison: ComparisonRecord | None = None) -> list["Figure"]:
    """Each measure against the generalisation gap, one point per minimum."""
    return [
        _figure(
            [trace for method in map(str, study.methods)
             if (trace := _points(study, method, measure)) is not None],
            {"xaxis": {"title": axis_label(measure),
                       "type": scale(np.ravel(study.table[list(study.metrics).index(measure)]))},
             "yaxis": {"title": axis_label(GAP)}},
            title(comparison, measure),
        )
        for measure in chosen_measures(study, comparison)
    ]  # fmt: skip


def _points(study: StudyRecord, method: str, measure: str) -> dict[str, Any] | None:
    x, y = study.values(measure, method), study.values(GAP, method)
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        return None
    name = axis_label(measure)
    return {
        "type": "scatter", "mode": "markers", "x": _plain(x[both]), "y": _plain(y[both]),
        "meta": method, "marker": _marker(method, 8), "customdata": study.seeds[both].tolist(),
        "showlegend": False, "hovertemplate": f"{label(method)}, seed %{{customdata}}<br>{name}: "
        "%{x:.4g}<br>gap: %{y:.4g}<extra></extra>",
    }  # fmt: skip


def _line(
    method: str, x: Array, mean: Array, band: Sequence[Array], words: Sequence[str],
    mode: str = "lines+markers",
) -> list[dict[str, Any]]:  # fmt: skip
    """A curve that says `words`, and its band, which says nothing."""
    shared = {"type": "scatter", "meta": method, "showlegend": False}
    line = shared | {
        "mode": mode, "x": _plain(x), "y": _plain(mean), "customdata": list(words),
        "line": {"color": style_of(method).colour, "width": 2}, "marker": _marker(method, 7),
        "hovertemplate": f"{label(method)}<br>%{{customdata}}<extra></extra>",
    }  # fmt: skip
    finite = np.isfinite(band[0]) & np.isfinite(band[1])
    if not finite.any():
        return [line]
    x, low, high = x[finite], band[0][finite], band[1][finite]
    area = shared | {
        "mode": "lines", "x": _plain([*x, *x[::-1]]), "y": _plain([*high, *low[::-1]]),
        "line": {"width": 0, "color": style_of(method).colour}, "fill": "toself", "opacity": 0.2,
        "fillcolor": style_of(method).colour, "hoverinfo": "skip",
    }  # fmt: skip
    return [area, line]


def _figure(traces: list[dict[str, Any]], axes: dict[str, Any], above: str = "") -> "Figure":
    import plotly.graph_objects as go

    plain = {"gridcolor": GRID, "zerolinecolor": INK, "zeroline": False, "automargin": True}
    layout: dict[str, Any] = {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "margin": {"l": 56, "r": 12, "t": 34 if above else 12, "b": 48},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        "hovermode": "closest",
        "dragmode": False,  # a finger scrolls the page
        **{
            name: plain | axis | {"title": {"text": axis["title"], "standoff": 10}}
            for name, axis in axes.items()
        },
    }
    if above:
        layout["title"] = {"text": html.escape(above, quote=False), "font": {"size": 14}, "x": 0.02}
    return go.Figure(data=traces, layout=layout)


def label(method: str) -> str:
    """Label of a method for plotly, which reads a little HTML in every text, but no &quot;."""
    return html.escape(style_of(method).label, quote=False)


def _marker(method: str, size: int) -> dict[str, Any]:
    style = style_of(method)
    return {"color": style.colour, "symbol": SYMBOLS[style.marker], "size": size}


def _named(quantity: str, records: Sequence[Record]) -> str:
    split = {record.point.split for record in records if record.point is not None}
    if split not in ({"test"}, {"train"}):
        return axis_label(quantity)
    return f"{SPLITS.get(*split, *split)} {axis_label(quantity)}"


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]" if np.isfinite(low) else f"{mean:.4g}"


def _plain(values: Iterable[float]) -> list[float | None]:
    """Four digits, and None for a gap: short in a page."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in map(float, values)]


def _apart(at: Array, levels: Array) -> dict[str, Any]:
    """Ticks that do not touch, from the largest."""
    kept: list[int] = []
    for i in range(len(at))[::-1]:
        if not kept or at[kept[-1]] - at[i] > 0.11 * at.max():
            kept.append(i)
    return {"tickvals": _plain(at[kept]), "ticktext": [f"{level:g}" for level in levels[kept]]}


class Symmetric:
    """Linear near zero and logarithmic beyond, where the values span that much; else as they are.

    Plotly has no such axis: heights are sign(v)·log₁₀(1 + |v|/t), and the ticks say v.
    """

    def __init__(self, values: Array):
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        wide = sizes.size > 0 and sizes.max() > 50 * np.median(sizes)
        self.near = float(10.0 ** np.floor(np.log10(np.quantile(sizes, 0.1)))) if wide else None
        self.reach = (float(values.min()), float(values.max())) if wide else (0.0, 0.0)

    def __call__(self, values: Array) -> Array:
        """Heights of values."""
        if self.near is None:
            return values
        return np.sign(values) * np.log10(1 + np.abs(values) / self.near)

    @property
    def ticks(self) -> dict[str, Any]:
        """Powers of ten with their signs, and zero."""
        if self.near is None:
            return {}
        top = np.log10(max(map(abs, self.reach)))
        powers = 10.0 ** np.arange(np.log10(self.near), top + 0.5)
        at = np.array([-p for p in powers[::-1] if -p >= 2 * self.reach[0]] + [0.0, *powers])
        return {"tickvals": _plain(self(at)), "ticktext": [rounded(v) for v in at]}
