"""landscape correlate: dry run, refusals in one line; the rest is of landscape.correlation."""

import pytest

from tests.correlation.test_study import GRID


def test_a_dry_run_counts_and_writes_nothing(landscape, tmp_path):
    code, out, _ = landscape("correlate", "--task", "digits", "--quick", "--dry-run")
    assert code == 0
    assert "24 networks, 0 there already" in out
    assert "learning rate: 0.05, 0.1" in out
    assert not list(tmp_path.iterdir())


def test_a_dry_run_over_a_sequence_says_that_each_task_stops(landscape):
    code, out, _ = landscape("correlate", "--task", "split-digits", "--dry-run")
    assert code == 0
    assert "split-digits, each task stopped at a training loss of 0.05" in out
    assert "162 networks" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--task", "mnist"),
            "no grid for 'mnist'; there are grids for digits, fashion-mnist, split-digits.",
        ),
        (("--task", "digitz"), "digits"),
        (("--config", "none.toml"), "none.toml"),
        ((), "No task is named; there are grids for digits, fashion-mnist, split-digits."),
    ],
)
def test_refusals(refused, arguments, said):
    (line,) = refused("correlate", *arguments)
    assert said in line


@pytest.mark.slow
def test_tables_sentences_and_where_they_are(landscape, tmp_path):
    (tmp_path / "grid.toml").write_text(GRID)
    code, out, _ = landscape("correlate", "--config", "grid.toml", "--workers", "1", "--out", "s")
    assert code == 0
    assert "4 of 4 networks, stopped at a training loss of 0.8." in out
    assert "Gap of the loss:" in out
    assert out.splitlines()[-1] == "s"
    assert (tmp_path / "s" / "correlate.json").is_file()
