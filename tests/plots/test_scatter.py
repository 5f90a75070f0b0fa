"""A measure against the gap."""

import dataclasses

import numpy as np
import pytest

from landscape.plots import scatter


def test_one_point_per_minimum_with_both_numbers(study_record):
    ax = scatter(study_record).axes[0]
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [3, 2]
    assert ax.get_lines()[0].get_xdata().tolist() == [10.0, 20.0, 30.0]
    assert ax.get_xlabel() == "λ max of the Hessian"
    assert ax.get_ylabel() == "test loss − training loss"


def test_tau_with_its_interval_in_the_title(study_record, comparison_record):
    ax = scatter(study_record, comparison_record).axes[0]
    assert ax.get_title(loc="left") == "τ = +0.40 [+0.10, +0.70]"


def test_tau_without_an_interval(study_record, comparison_record):
    nan = np.array([np.nan])
    alone = dataclasses.replace(comparison_record, tau_low=nan, tau_high=nan, tau=np.array([-0.4]))
    assert scatter(study_record, alone).axes[0].get_title(loc="left") == "τ = −0.40"


def test_an_unknown_measure_is_refused(study_record):
    with pytest.raises(ValueError, match=r"`measures` must be among .*. Got 'trace'."):
        scatter(study_record, measures=["trace"])
