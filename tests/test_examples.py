"""The examples in docstrings give the answers that they state, most of them in closed form."""

import doctest
from importlib import import_module

import pytest

from landscape.measures import MEASURES
from landscape.methods import METHODS

CLASSES = {f"{cls.__module__}.{cls.__name__}" for cls in (*MEASURES.values(), *METHODS.values())}
# Of the other pages of the reference.
OTHERS = {
    "landscape.auditing.requirements.parse",
    "landscape.methods.make",
    "landscape.objective.objective.Objective",
    "landscape.optim.wrap",
    "landscape.plots.drawing.output.save",
    "landscape.records.displacement.DisplacementRecord",
    "landscape.records.load",
    "landscape.records.record.Record",
    "landscape.statistics.intervals.paired_difference",
    "landscape.statistics.intervals.t_interval",
    "landscape.statistics.noise_curve.sigma_at_drop",
    "landscape.training.train.train",
}


@pytest.mark.parametrize("name", sorted(CLASSES | OTHERS))
def test_the_example_gives_its_answer(name):
    module = import_module(name.rpartition(".")[0])
    examples = [test for test in doctest.DocTestFinder().find(module) if test.name == name]
    assert examples and examples[0].examples
    runner = doctest.DocTestRunner()
    runner.run(examples[0])
    assert runner.summarize(verbose=False).failed == 0
