"""The example in each measure's docstring gives its closed-form answer."""

import doctest
import sys

import pytest

from landscape.measures import MEASURES


@pytest.mark.parametrize("name", MEASURES)
def test_the_example_gives_its_closed_form_answer(name):
    module = sys.modules[MEASURES[name].__module__]
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert f"{module.__name__}.{MEASURES[name].__name__}" in [test.name for test in examples]
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
