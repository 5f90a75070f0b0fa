"""Sequences of tasks from the command line."""

import json

import pytest

SHORT = (
    *("--set", "training.epochs=1", "--set", "lifelong.tasks=2"),
    *("--device", "cpu", "--seed", "1", "--out", "run"),
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--protocol", "plain"), "Unknown protocol 'plain'. Known: lifelong."),
        (("--set", "lifelong.replay=all"), "lifelong.replay"),
        (("--set", "lifelong.tasks=3"), "`lifelong.tasks` must divide the number of classes, 10"),
        (("--measure-every", 5), "`training.measure_every` follows one training"),
    ],
)
def test_what_cannot_be_is_one_line(refused, arguments, message):
    (line,) = refused("train", "--task", "split-digits", "--method", "sgd", *arguments)
    assert message in line


def test_a_run_says_what_it_forgot(landscape):
    code, out, _ = landscape("train", "--task", "split-digits", "--method", "sgd", *SHORT)
    assert code == 0 and "as a mean over 2 tasks" in out and "forgetting" in out
    found = json.loads(landscape("info", "run", "--json").out)
    assert found["settings"]["lifelong.tasks"] == "2, default 5"
    assert any("forgetting" in line for line in found["outcome"])
    assert "lifelong" in found["records"]


def test_the_protocol_makes_a_sequence_of_any_classes(landscape):
    code, out, _ = landscape(
        "train", "--task", "digits", "--method", "sgd", "--protocol", "lifelong", *SHORT
    )
    assert code == 0 and "as a mean over 2 tasks" in out
