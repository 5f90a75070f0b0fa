"""Quantisation, pruning, the worst case, and noise on two data sets beside each other."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from landscape.plots import noise, pruning, quantization, worst_case
from landscape.records import PruningRecord, QuantizationRecord, WorstCaseRecord

LOSS = [[1.0, 1.0], [2.0, 4.0]]


@pytest.fixture
def quantization_record(point):
    def make(shift=0.0, bits=(8, 4), granularity=("tensor", "channel")):
        shape = len(bits), len(granularity)
        numbers = shift + np.arange(4.0).reshape(2, 2)[: shape[0], : shape[1]]
        return QuantizationRecord(
            bits=np.array(bits), granularity=granularity, loss=numbers, accuracy=numbers / 10,
            error=numbers, clean_loss=9.0, clean_accuracy=0.9, point=replace(point, split="test"),
        )  # fmt: skip

    return make


@pytest.fixture
def pruning_record(point):
    def make(shift=0.0, fraction=(0.0, 0.5), scope="global"):
        return PruningRecord(
            fraction=np.array(fraction), pruned=np.array([0, 5]), loss=np.array([1.0, 3.0]) + shift,
            accuracy=np.array([0.9, 0.4]), scope=scope, clean_loss=1.0, clean_accuracy=0.9,
            point=point,
        )  # fmt: skip

    return make


@pytest.fixture
def worst_record(point):
    def make(radius=(0.5, 1.0), accuracy=(0.8, 0.2)):
        return WorstCaseRecord(
            radius=np.array(radius), loss=np.array([2.0, 3.0]), accuracy=np.array(accuracy),
            reached=np.ones((2, 3)), scale="filter", clean_loss=1.0, clean_accuracy=0.9,
            point=point,
        )  # fmt: skip

    return make


def line(ax, i=0):
    return ax.get_lines()[i].get_ydata().tolist()


def ticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


class TestQuantization:
    def test_the_mildest_comes_first(self, quantization_record):
        """int8 per channel, int8 per tensor, then int4: columns 1 and 0 of each row."""
        ax = quantization(quantization_record()).axes[1]
        assert line(ax) == [9.0, 1.0, 0.0, 3.0, 2.0]
        assert ticks(ax)[:3] == ["as\ntrained", "int8\nchannel", "int8\ntensor"]

    def test_bars_are_over_minima(self, quantization_record, words):
        """Losses 0 and 2: 1 ± 12.706 · √2/√2."""
        figure = quantization({"sgd": [quantization_record(), quantization_record(2.0)]})
        bars = figure.axes[1].collections[0].get_segments()
        assert bars[2][1][1] == pytest.approx(1 + 12.706204736432095)
        assert "over 2 seeds, bar: 95 % t interval" in words(figure)
        assert "no bar" in words(quantization(quantization_record()))

    def test_a_setting_that_one_method_lacks_is_a_gap(self, quantization_record):
        fewer = quantization_record(bits=(8,))
        ax = quantization({"sgd": quantization_record(), "sam": fewer}).axes[1]
        assert np.isfinite(line(ax, 1)).tolist() == [True, True, True, False, False]

    def test_no_accuracy(self, quantization_record, words):
        record = quantization_record()
        blind = replace(record, accuracy=np.full((2, 2), np.nan), clean_accuracy=np.nan)
        assert "not computed for this task" in words(quantization(blind))


class TestPruning:
    def test_shares_in_per_cent(self, pruning_record, words):
        figure = pruning({"sgd": [pruning_record(), pruning_record(2.0)]})
        assert figure.axes[0].get_lines()[0].get_xdata().tolist() == [0.0, 50.0]
        assert line(figure.axes[0]) == [90.0, 40.0]
        assert line(figure.axes[1]) == [2.0, 4.0]
        assert "smallest weights pruned, % of the network" in words(figure)
        assert "training accuracy (%)" in words(figure)

    def test_starts_at_the_whole_network(self, pruning_record):
        later = replace(pruning_record(fraction=(0.2, 0.5)), clean_loss=0.5)
        ax = pruning(later).axes[1]
        assert ax.get_lines()[0].get_xdata().tolist() == [0.0, 20.0, 50.0]
        assert line(ax) == [0.5, 1.0, 3.0]

    def test_an_interval_of_an_accuracy_ends_at_the_axis(self, pruning_record):
        one = pruning_record()
        other = replace(one, accuracy=np.array([0.1, 0.1]))
        ax = pruning({"sgd": [one, other]}).axes[0]
        assert ax.get_ylim() == (-2.0, 102.0)

    def test_shares_of_one_method_must_agree(self, pruning_record):
        records = [pruning_record(), pruning_record(fraction=(0.0, 0.4))]
        with pytest.raises(ValueError, match="`records` of sam must share their levels"):
            pruning({"sam": records})


class TestWorstCase:
    def test_starts_at_the_clean_point(self, worst_record, words):
        figure = worst_case(worst_record())
        assert figure.axes[1].get_lines()[0].get_xdata().tolist() == [0.0, 0.5, 1.0]
        assert line(figure.axes[1]) == [1.0, 2.0, 3.0]
        assert line(figure.axes[0]) == [90.0, 80.0, 20.0]
        assert "lower bound of the worst loss" in words(figure)
        assert "radius ρ, in units of the filter's root mean square" in words(figure)


class TestNoiseOnTwoDataSets:
    @pytest.fixture
    def both(self, noise_record, point):
        record = noise_record(LOSS, LOSS, sigma=(0.0, 0.1))
        return replace(
            record, point=replace(point, split="test"), other_loss=10 * record.loss,
            other_accuracy=record.accuracy, other_clean_loss=10.0, other_clean_accuracy=0.5,
            other_point=asdict(point),
        )  # fmt: skip

    def test_side_by_side_on_one_scale(self, both, words):
        figure = noise(both, ["loss"], other=True)
        test, train = figure.axes
        assert (line(test), line(train)) == ([1.0, 3.0], [10.0, 30.0])
        assert test.get_ylim() == train.get_ylim()
        assert (test.get_ylabel(), train.get_ylabel()) == ("test loss", "training loss")

    def test_one_linear_and_one_logarithmic_panel_become_logarithmic(self, both):
        steep = replace(both, other_loss=np.array([[0.01, 0.01], [50.0, 50.0]]))
        assert [ax.get_yscale() for ax in noise(steep, ["loss"], other=True).axes] == ["log"] * 2

    def test_without_other_data_it_is_refused(self, both, noise_record):
        with pytest.raises(ValueError, match=r"`other` needs records with other data"):
            noise({"sgd": both, "sam": noise_record(LOSS, sigma=(0.0, 0.1))}, other=True)
