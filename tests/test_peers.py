"""The comparison with other libraries: its rounds, its aims, and what is missing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import peers
from comparison import CARDS, ROWS, page, solvers, truth
from comparison.growth import Line as Growth
from comparison.merging import merged
from comparison.rounds import OURS, Block, Contender, Scale, loosest, measure
from comparison.steps import accuracy, usual_loop
from comparison.subjects import Subject, small_mlp

from landscape.models import mlp

ROOT = Path(__file__).parents[1]


class Ticking(Scale):
    """A scale whose clock moves only where a contender moves it."""

    now = 0.0

    def clock(self):
        return Ticking.now


def takes(*seconds):
    """A contender that takes so long in each round, after the same to warm up."""
    left = iter([seconds[0], *seconds])

    def call(turn):
        Ticking.now += next(left)
        return turn

    return call


def test_ratios_are_to_ours_of_the_same_round():
    block = Block(
        "work",
        "network",
        {
            OURS: Contender(takes(1.0, 2.0, 4.0)),
            "other": Contender(takes(3.0, 3.0, 2.0), str, at_least=1.5),
        },
        rounds=3,
    )
    ours, other = measure(block, Ticking())
    assert ours.ratios == [1.0, 1.0, 1.0]
    assert other.ratios == [3.0, 1.5, 0.5]
    assert other.accuracy == "[0, 1, 2]"
    assert other.met
    assert page.spread(other.ratios) == "1.50 (0.50-3.00)"


def test_a_slow_contender_takes_part_in_fewer_rounds():
    block = Block("work", "network", {OURS: Contender(takes(*[5.0] * 5))}, rounds=5)
    (ours,) = measure(block, Ticking())
    assert ours.seconds == [5.0, 5.0, 5.0]


def test_what_is_missing_says_why():
    def absent(turn):
        raise ModuleNotFoundError("No module named 'other'", name="other")

    def broken(turn):
        raise RuntimeError("no second derivative\nof this")

    contenders = {
        OURS: Contender(takes(1.0, 1.0)),
        "absent": Contender(absent),
        "broken": Contender(broken),
        "left out": "left out: too slow",
    }
    block = Block("work", "network", contenders, rounds=1)
    rows = list(page.rows(block, measure(block, Ticking())))
    assert "not installed: `pip install -e '.[peers]'` (other)" in rows[1]
    assert "does not run: RuntimeError: no second derivative |" in rows[2]
    assert "left out: too slow" in rows[3]


def test_rows_for_a_gpu_are_not_measured_on_a_cpu(capsys):
    peers.main(["--only", *CARDS])
    out = capsys.readouterr().out
    assert out.count("not measured") == len(CARDS)


def test_the_loosest_setting_that_is_right():
    settings = {str(error): (lambda turn, error=error: error) for error in (0.1, 0.01, 0.001)}
    words, call = loosest(settings, float, 0.05)
    assert (words, call(0)) == ("0.01: the loosest right to 5e-02", 0.01)
    words, _ = loosest(settings, float, 1e-5)
    assert words == "0.001: not right to 1e-05"


def test_error_counts_what_was_left_out():
    exact = np.array([10.0, -8.0, 5.0, 1.0])
    assert truth.error([10.0, -8.0], exact) == 0
    assert truth.error([10.0, 5.0], exact) == pytest.approx(0.3)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Subject("MLP", mlp(6, (4,), 3), torch.randn(10, 6), torch.randint(3, (10,)))


@pytest.mark.slow  # imports torch's compiler
def test_references_are_those_of_the_dense_hessian(small):
    double = small.double
    names = [name for name, _ in double.network.named_parameters()]

    def loss(*parameters):
        weights = dict(zip(names, parameters, strict=True))
        z = torch.func.functional_call(double.network, weights, (double.x,))
        return torch.nn.functional.cross_entropy(z, double.y)

    parameters = tuple(p.detach() for p in double.network.parameters())
    blocks = torch.autograd.functional.hessian(loss, parameters)
    sizes = [p.numel() for p in parameters]
    dense = torch.cat(
        [
            torch.cat([b.reshape(rows, columns) for b, columns in zip(line, sizes, strict=True)], 1)
            for line, rows in zip(blocks, sizes, strict=True)
        ]
    )
    values = torch.linalg.eigvalsh(dense).numpy()
    values = values[np.argsort(-np.abs(values))]
    assert truth.eigenvalues(small, 3) == pytest.approx(values[:8], rel=1e-6)
    assert truth.trace(small) == pytest.approx(dense.trace().item(), rel=1e-10)
    assert truth.error(solvers.bare_products(small, 3, 0)[0], values[:8]) < 1e-5


def test_the_usual_loop_is_sam(small):
    words = accuracy(usual_loop, small, 0.05)
    assert float(words.rpartition(" ")[2]) < 1e-8


def test_growth_finds_the_fixed_part():
    line = Growth("points", "a surface", (10, 100, 1000), (0.6, 1.5, 10.5))
    assert line.fixed == pytest.approx(50)
    assert line.words == "a fixed part as large as the cost of 50 points"
    assert Growth("points", "a surface", (1, 10), (2, 20)).words == "a straight line"


def test_a_quick_row(capsys):
    peers.main(["--quick", "--only", "noise"])
    out = capsys.readouterr().out
    assert "figures mean nothing" in out
    assert "| noise, 6 levels x 2 | MLP 64-128-10" in out


@pytest.mark.slow
@pytest.mark.parametrize("row", [*ROWS, *CARDS])
def test_every_row_runs(row, tmp_path):
    out = tmp_path / "table.md"
    command = [sys.executable, "benchmarks/peers.py", "--quick", "--only", row, "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    table = out.read_text()
    assert OURS in table
    assert "does not run" not in table


def test_the_docs_hold_the_summary_of_the_results(tmp_path):
    results = (ROOT / "benchmarks" / "results" / "peers.md").read_text()
    assert peers.between_marks(peers.COMPARED.read_text()) == peers.between_marks(results)
    page, first, last = tmp_path / "page.md", *peers.MARKS
    page.write_text(f"above {first} old {last} below")
    peers.renew(page, f"table {first} new {last}")
    assert page.read_text() == f"above {first} new {last} below"


def test_subjects_are_made_once():
    assert small_mlp(Scale(quick=True)) is small_mlp(Scale(quick=True))


PAGE = """# Title

| work | network | contender | seconds |
| --- | --- | --- | --- |
| top | MLP | landscape | 1 |
|  |  | other | 2 |
| step | LeNet | landscape | {step} |

A note.

| work | network | others' time | our answer |
| --- | --- | --- | --- |
| top | MLP | other 2 | right |
| step | LeNet | other 3 | {step} |
"""
GROWN = "\n## Cost over size\n\n| over | work |\n| --- | --- |\n| points | {} |\n"


def test_rows_that_were_measured_again_take_the_place_of_the_old_ones():
    chosen = "".join(line for line in PAGE.splitlines(True) if "MLP" not in line)
    chosen = chosen.replace("|  |  | other | 2 |\n", "")
    assert merged(PAGE.format(step=3), chosen.format(step=4)) == PAGE.format(step=4)
    assert merged(chosen.format(step=3), chosen.format(step=4)) == chosen.format(step=4)
    more = PAGE.format(step=3).replace("| step | LeNet |", "| step | VGG |")
    both = merged(PAGE.format(step=3), more)
    assert both.count("| step | VGG |") == both.count("| step | LeNet |") == 2
    assert both.count("|  |  | other | 2 |") == 1


def test_cost_over_size_is_replaced_or_added():
    once = merged(PAGE, PAGE + GROWN.format("slow"))
    assert once == PAGE + GROWN.format("slow")
    assert merged(once, PAGE + GROWN.format("fast")) == PAGE + GROWN.format("fast")
