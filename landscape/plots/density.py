"""Spectral density: how many directions of a minimum have which curvature."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import (
    ByMethod,
    conditions,
    counts,
    grouped,
    matrix_name,
    t_band,
)
from landscape.plots.drawing.style import GREY, drawing_of, style_of, styled, text
from landscape.records import Array, SpectralDensityRecord

FAR = 10  # times the narrowest kernel: with a wider one beside it, one width would hide too much
NEAR = 20  # of the narrowest kernels, to either side, that a symmetric logarithm is linear over
BELOW = 30  # times lower than one eigenvalue stands: there the axis ends
SAME = 0.97  # of the width asked for: so close a kernel is taken as it is
ROOT = (2 * np.pi) ** 0.5  # of a Gaussian: its height is 1/(σ·ROOT)

Band = tuple[Array, Array, Array]  # density and the ends of its interval, (g,) each


@styled
def density(
    records: ByMethod[SpectralDensityRecord], ax: Axes | None = None, *, baseline: str = ""
) -> Figure:
    """Density on a logarithmic axis, a line and a band per method.

    One minimum per method: the band is the 95 % interval over the probes. Several: their mean, with
    the 95 % t interval over the minima. All are shown with the widest of their kernels, because a
    height means little without it; but where the widths differ by more than a factor of 10, each
    with its own, and the eigenvalue axis is then linear near zero and logarithmic beyond.

    More than three methods on a figure of its own: small multiples, the baseline (default sgd, or
    the first) in grey.
    """
    groups = grouped(records, SpectralDensityRecord)
    flat = [record for group in groups.values() for record in group]
    widths = [record.width for record in flat]
    common = max(widths) <= FAR * min(widths)
    return curves_page(
        groups, 1, lambda panel, _: _panel(panel, groups, common),
        _caption(groups, flat, common), ax=ax, baseline=baseline, height=3.0, extra=0.4, mark=False,
    ).figure  # fmt: skip


def _panel(panel: Axes, groups: dict[str, list[SpectralDensityRecord]], common: bool) -> None:
    """common: all with the widest kernel."""
    flat = [record for group in groups.values() for record in group]
    widths = [record.width for record in flat]
    top = 0.0
    for method, group in groups.items():
        sigma = max(widths if common else [record.width for record in group])
        grid = common_grid(group, sigma)
        mean, low, high = band(group, grid, sigma)
        colour = style_of(method).colour
        with drawing_of(panel, method):
            panel.plot(grid, mean, color=colour)
            panel.fill_between(grid, low, high, color=colour, alpha=0.15, linewidth=0)
        top = max(top, float(mean.max()))
    lowest = min(1 / (record.n * max(widths) * ROOT) for record in flat)
    panel.set(xlabel=text(matrix_name(flat)), ylabel="density", yscale="log")
    panel.set_ylim(lowest / BELOW, 3 * top)
    panel.axvline(0.0, color=GREY, linewidth=0.6, zorder=1)
    if not common:
        panel.set_xscale("symlog", linthresh=NEAR * min(widths))
    elif len({record.n for record in flat}) == 1:
        _mark(panel, lowest)
    if len(groups) == 1:
        panel.set_title(text(style_of(next(iter(groups))).label))


def common_grid(group: list[SpectralDensityRecord], sigma: float) -> Array:
    """Over all that the records of a method cover, four points to a kernel's width."""
    low, high = (pick(pick(r.grid) for r in group) for pick in (min, max))
    return np.linspace(low - sigma, high + sigma, int(4 * (high - low) / sigma) + 9)


def band(group: list[SpectralDensityRecord], grid: Array, sigma: float) -> Band:
    """Density with a kernel of width σ, its interval over the minima, or of one over the probes."""
    parts = [_widened(record, grid, sigma) for record in group]
    return parts[0] if len(parts) == 1 else t_band(np.stack([part[0] for part in parts]))


def _widened(record: SpectralDensityRecord, grid: Array, sigma: float) -> Band:
    """Density and band with a kernel of width σ: one Gaussian of another is a wider Gaussian."""
    curves = record.density, record.low, record.high
    if record.width >= SAME * sigma:
        mean, low, high = (np.interp(grid, record.grid, c, left=0.0, right=0.0) for c in curves)
        return mean, low, high
    extra = (sigma**2 - record.width**2) ** 0.5
    z = (grid[:, None] - record.grid) / extra
    kernel = np.exp(-(z**2) / 2) * (record.grid[1] - record.grid[0]) / (extra * ROOT)
    mean, low, high = (kernel @ c for c in curves)
    return mean, low, high


def _mark(ax: Axes, height: float) -> None:
    ax.axhline(height, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    ax.annotate(
        "one eigenvalue", (1.0, height), xycoords=("axes fraction", "data"), ha="right",
        xytext=(-2, 2), textcoords="offset points", color=GREY, fontsize=7,
    )  # fmt: skip


def _caption(
    groups: dict[str, list[SpectralDensityRecord]], flat: list[SpectralDensityRecord], common: bool
) -> str:
    probes = counts([len(record.nodes) for record in flat], "probe")
    seeds = [len(group) for group in groups.values()]
    band = f"{probes}, one minimum per method" if max(seeds) == 1 else counts(seeds, "seed")
    if max(seeds) > 1:
        band += f", {probes} each"
    widths = [record.width for record in flat]
    kernel = f"{max(widths):.2g}"
    if not common:
        kernel = f"each its own, {min(widths):.2g} to {kernel}"
    parts = [f"band: 95 % interval over {band}", f"kernel width: {kernel}", conditions(flat)]
    return " · ".join(part for part in parts if part)
