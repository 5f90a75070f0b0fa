"""How many eigenvalues lie above λ."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.plots import eigenvalue_count
from landscape.plots.drawing.style import METHOD_STYLES

T_2 = 12.706204736432095  # 97.5 % quantile of Student's t with one degree of freedom


@pytest.fixture
def record(eigenvalues_record):
    def make(*values, which="magnitude", **settings):
        zeros, done = np.zeros(len(values)), np.ones(len(values), dtype=bool)
        return replace(eigenvalues_record(values, zeros, done), which=which, **settings)

    return make


def lines(figure):
    return [line for line in figure.axes[0].get_lines() if line.get_gid() is not None]


def height(line, at):
    """Of the curve at the vertex nearest to λ."""
    return line.get_ydata()[np.abs(line.get_xdata() - at).argmin()]


def ends(line):
    return [float(line.get_xdata().min()), float(line.get_xdata().max())]


def test_counts_by_hand(record):
    (line,) = lines(eigenvalue_count(record(8.0, 4.0, 3.0, 1.0)))
    assert ends(line) == [1.0, 8.0]
    assert [height(line, at) for at in (1.0, 2.0, 3.5, 5.0, 7.9, 8.0)] == [3, 3, 2, 1, 1, 0]


@pytest.mark.parametrize(
    ("which", "values", "lowest", "count"),
    [
        ("magnitude", (8.0, -5.0, 4.0, 3.0), 3.0, 2),
        ("magnitude", (8.0, 5.0, 4.0, -3.0), 3.0, 3),  # a positive one at 3.5 would be known
        ("largest", (8.0, 5.0, 4.0, 3.0), 3.0, 3),
        ("largest", (8.0, 5.0, -1.0, -2.0), 0.0, 2),
        ("both", (-9.0, 8.0, 5.0, 4.0, -3.0, 2.0), 4.0, 2),  # 2 is of the three smallest
    ],
)
def test_a_curve_ends_where_all_positive_ones_are_known(record, which, values, lowest, count):
    (line,) = lines(eigenvalue_count(record(*values, which=which)))
    assert ends(line) == [lowest, 8.0]
    assert line.get_ydata()[0] == count


def test_seeds_are_averaged_where_all_are_known(record, words):
    """At λ = 5 the minima have 3 and 1 above: 2 ± 12.706 · √2/√2; below 3 the second is unknown."""
    figure = eigenvalue_count({"sgd": [record(9.0, 8.0, 7.0, 1.0), record(6.0, 4.0, 3.0)]})
    (line,) = lines(figure)
    assert ends(line) == [3.0, 9.0]
    assert height(line, 5.0) == 2.0
    edges = figure.axes[0].collections[0].get_paths()[0].vertices
    near = edges[np.abs(edges[:, 0] - 5.0) < 0.02, 1]
    assert near.max() == pytest.approx(2.0 + T_2)
    assert near.min() == 0.0  # there is no negative number of eigenvalues
    said = words(figure).replace("\n", " ")
    assert "mean over 2 seeds, band: 95 % t interval" in said
    assert "a curve ends at the smallest λ known for all seeds" in said


def test_the_axes(record):
    ax = eigenvalue_count({"sgd": record(8.0, 4.0, 1.0), "sam": record(3.0, 2.0, 1.0)}).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert (ax.get_xlim()[0], ax.get_ylim()[0]) == (0.0, 0.5)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2"]
    assert ax.get_xlabel() == "λ, eigenvalue of the Hessian"
    assert [line.get_color() for line in ax.get_lines()] == [
        METHOD_STYLES[m].colour for m in ("sgd", "sam")
    ]


@pytest.mark.parametrize(
    ("values", "which"),
    [((8.0, np.nan), "magnitude"), ((3.0, 2.0), "smallest")],
)
def test_a_method_with_a_minimum_that_is_not_known_has_no_curve(record, words, values, which):
    unknown = record(*values, which=which)
    assert "too few eigenvalues were computed" in words(eigenvalue_count(unknown))
    figure = eigenvalue_count({"sgd": record(8.0, 4.0), "sam": [record(9.0, 1.0), unknown]})
    assert [line.get_gid() for line in lines(figure)] == ["sgd"]
    assert "no curve: too few eigenvalues are known" in words(figure).replace("\n", " ")


@pytest.mark.parametrize("values", [(5.0,), (-3.0, -2.0)])
def test_none_above_the_smallest_that_is_known(record, words, values):
    assert "too few eigenvalues were computed" in words(eigenvalue_count(record(*values)))


def test_a_minimum_without_positive_ones_counts_as_none(record):
    """Above λ = 2 the second has none: the mean is half the first's count."""
    pair = [record(8.0, 4.0, 1.0), record(-3.0, -2.0)]
    (line,) = lines(eigenvalue_count({"sgd": pair}))
    assert ends(line) == [2.0, 8.0]
    assert height(line, 3.0) == 1.0


def test_says_what_did_not_converge(record, words):
    loose = replace(record(8.0, 4.0), converged=np.array([True, False]))
    assert "some eigenvalues did not converge" in words(eigenvalue_count(loose))
    assert "converge" not in words(eigenvalue_count(record(8.0, 4.0)))
