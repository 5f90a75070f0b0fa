"""Eigenvalues."""

from dataclasses import replace

import numpy as np
from matplotlib.colors import to_hex

from landscape.plots import spectrum
from landscape.plots.drawing.style import METHOD_STYLES, PAPER


def markers(ax):
    return [line for line in ax.get_lines() if line.get_marker() == "o"]


def test_signs_are_seen(eigenvalues_record):
    ax = spectrum(eigenvalues_record()).axes[0]
    filled, hollow = markers(ax)
    assert filled.get_ydata().tolist() == [8.0, 4.0]
    assert hollow.get_ydata().tolist() == [-1.0]
    assert to_hex(hollow.get_markerfacecolor()).upper() == PAPER


def test_bars_are_the_bounds(eigenvalues_record):
    ax = spectrum(eigenvalues_record()).axes[0]
    bars = ax.containers[0].lines[2][0].get_segments()
    assert [segment[:, 1].tolist() for segment in bars] == [[7.5, 8.5], [3.75, 4.25]]


def test_one_slot_per_method_in_its_colour(eigenvalues_record, words):
    figure = spectrum({"sgd": [eigenvalues_record()] * 2, "sam": [eigenvalues_record()]})
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["SGD", "SAM"]
    assert len(markers(ax)) == 6
    assert {line.get_color() for line in markers(ax)} == {
        METHOD_STYLES[m].colour for m in ("sgd", "sam")
    }
    assert "1–2 seeds side by side" in words(figure).replace("\n", " ")


def test_what_did_not_converge_is_crossed_out(eigenvalues_record):
    ax = spectrum(eigenvalues_record(converged=(True, False, True))).axes[0]
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert crosses[0].get_ydata().tolist() == [4.0]


def test_wide_spectra_get_a_symmetric_logarithm(eigenvalues_record):
    wide = eigenvalues_record(values=(1e4, 1.0, -0.5))
    assert spectrum(wide).axes[0].get_yscale() == "symlog"
    assert spectrum(eigenvalues_record()).axes[0].get_yscale() == "linear"


def test_no_finite_eigenvalue(eigenvalues_record, words):
    assert "no eigenvalue" in words(spectrum(eigenvalues_record(values=(np.nan,) * 3)))


def test_says_which_eigenvalues_these_are(eigenvalues_record, words):
    def said(record):
        return words(spectrum({"sgd": record})).replace("\n", " ")

    record = eigenvalues_record()
    assert "the 3 largest in magnitude · hollow: negative" in said(record)
    both = replace(eigenvalues_record((8.0, 4.0, -1.0, -2.0), *[(1,) * 4] * 2), which="both")
    assert "the 2 largest and the 2 smallest" in said(both)


def test_names_that_would_touch_are_turned(eigenvalues_record):
    def turned(*methods):
        labels = spectrum(dict.fromkeys(methods, eigenvalues_record())).axes[0].get_xticklabels()
        return {label.get_rotation() for label in labels}

    assert turned(*list(METHOD_STYLES)[:9]) == {0.0}
    assert turned(*(f"lets+asam@number-{i}" for i in range(9))) == {40.0}
