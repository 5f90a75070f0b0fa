"""Every bug of benchmarks/mutations.toml can be planted: its text stands in its file once."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_bug_can_be_planted():
    with (ROOT / "benchmarks" / "mutations.toml").open("rb") as file:
        bugs = tomllib.load(file)["bug"]
    missing = [bug["name"] for bug in bugs if not (ROOT / bug["file"]).is_file()]
    assert not missing
    counts = {b["name"]: (ROOT / b["file"]).read_text("utf-8").count(b["find"]) for b in bugs}
    assert {name: count for name, count in counts.items() if count != 1} == {}
    assert len(counts) == len(bugs), "two bugs have one name"


def test_the_tests_that_must_notice_exist():
    with (ROOT / "benchmarks" / "mutations.toml").open("rb") as file:
        bugs = tomllib.load(file)["bug"]
    tests = {test.partition("::")[0] for bug in bugs for test in bug["tests"]}
    assert [test for test in sorted(tests) if not (ROOT / test).exists()] == []
