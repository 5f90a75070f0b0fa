"""Which training batch LETS should compare with: fresh, the step's own, or the next one's.

    python benchmarks/lets_orders.py [--data-dir DIR] [--out benchmarks/results/lets_orders.md]

digits (40 epochs, 3 seeds), and Fashion-MNIST (1 epoch, 1 seed) where DIR holds it. Per order: the
radius at the end, the agreement that decides its direction, and what the network reached.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

from landscape import train

ORDERS = ("next", "fresh", "same")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# LETS: the training batch of the gap",
        "",
        "Secant, exp, beta 0.01, start 0.05; CPU, one thread, one run; means over seeds. Radius",
        "and agreement (cosine of δ, dθ⁺/dρ) are the last epoch's means; passes count by examples.",
        "",
        "| task | upper | seeds | passes | radius | agreement | held-out loss | test acc. |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    tasks = {"digits": (40, 3)} | ({"fashion-mnist": (1, 1)} if args.data_dir else {})
    for task, (epochs, seeds) in tasks.items():
        for order in ORDERS:
            lines.append(row(task, epochs, seeds, order, args.data_dir))
            print(lines[-1], flush=True)
    if args.out:
        text = [*lines, "", "Command: `python benchmarks/lets_orders.py --data-dir DIR`", ""]
        args.out.write_text("\n".join(text))


def row(task, epochs, seeds, order, data_dir):
    """One line of the table."""
    settings = {"training": {"epochs": epochs, "device": "cpu"}, "lets": {"upper": order}}
    last = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = train(task, "lets", seed, folder, settings=settings, data_dir=data_dir)
            last.append(run.metrics[-1])
    names = ("grad_evals", "rho", "agreement", "held_out_loss", "test_accuracy")
    means = [statistics.mean(r[name] for r in last) for name in names]
    cells = [f"{means[0]:.0f}", *(f"{value:.3g}" for value in means[1:4]), f"{means[4]:.4f}"]
    return f"| {task} | {order} | {seeds} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
