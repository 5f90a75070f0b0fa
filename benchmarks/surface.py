"""Surfaces and noise curves against bare forward passes, a naive loop and loss-landscapes.

    pip install -e .[bench]
    python benchmarks/surface.py [--out benchmarks/results/surface.md]

Networks of the digits tasks, trained by SGD (seed 0) for 5 epochs; training examples in one batch,
float32, stored batch-norm statistics, one thread; and ResNet-18 at its start with 4 images.
"""

import argparse
import copy
import os
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F

from landscape import Batch, Objective, measures, train
from landscape.models import resnet18

DRAWS, ROUNDS = 10, 3
SIGMAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
NETS = {"digits-cnn": ("conv net with batch norm", 7), "digits": ("MLP", 25)}  # and the grid
ROW = 15  # points of a row on the ResNet


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, errors = [], []
    for task, (net, size) in NETS.items():
        for examples, objective in trained(task).items():
            found = surface(objective, size), noise(objective)
            rows += [f"| {net} | {examples} | {row}" for row in found]
        errors.append(f"* {net}: {error(objective, size):.1e}")
    rows += [f"| ResNet-18 | 4 | {row}" for row in residual()]
    load = f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    command = "Command: `python benchmarks/surface.py`"
    text = "\n".join([*HEAD, *rows, *BETWEEN, *errors, "", load, "", command])
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


HEAD = f"""# The price of a surface and of a noise curve

Float32, one batch, one thread, torch {torch.__version__.partition("+")[0]}, loss-landscapes
{version("loss-landscapes")}; CPU seconds in {ROUNDS} interleaved rounds: the median of the
ratios, the smallest and the largest.

* *Forward*: as many forward passes at fixed weights, eval mode, no gradients, without loss or
  accuracy; *with loss*: the same with the loss and the number of right answers.
* *Peer*: loss-landscapes' `random_plane` with the metric `Loss` on the same batch and grid; it
  measures no accuracy.
* *Surface* (the grid is named) and *noise* ({len(SIGMAS)} levels x {DRAWS} draws, drawing
  included) are whole calls on an objective that has been asked before. *Once* is what a call on a
  new objective takes beyond that, in forward passes: checks of the model, the choice of a pass,
  the gradient's norm.
* *Row*: {ROW} points of a line. *Surface 3 x 3*: *once* is what it takes beyond its nine points, in
  forward passes, on an objective that has been asked before.

| network | examples | question | ours / forward | ours / with loss | peer / ours | once |
| --- | --- | --- | --- | --- | --- | --- |""".splitlines()
BETWEEN = """
Surfaces against a naive loop over copies of the model in double precision, 1,000 examples: the
largest difference of the losses in units of max(loss, 0.01).

""".splitlines()


def trained(task):
    """Number of examples -> the objective of a trained network."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(task, "sgd", 0, folder, settings={"training": {"epochs": 5, "device": "cpu"}})
        return {n: run.objective("train", examples=n) for n in (256, 1000)}


def surface(objective, size):
    """The end of a table row."""
    measure, batch = measures.Surface(size=size), objective.batches[0]
    measure(objective)
    calls = {"ours": lambda: measure(objective), "new": lambda: measure(anew(objective))}
    calls |= bare(objective.model, batch, size**2) | peer(objective.model, batch, size)
    times = timed(calls)
    once = median((times["new"] - times["ours"]) / times["forward"]) * size**2
    name = f"surface {size} x {size}"
    return f"{name} | {ratios(times)} | {spread(times['peer'] / times['ours'])} | {once:.0f} |"


def noise(objective):
    """The end of a table row."""
    measure = measures.NoiseRobustness(sigmas=SIGMAS, draws=DRAWS)
    passes = len(SIGMAS) * DRAWS
    measure(objective)
    calls = {"ours": lambda: measure(objective), "new": lambda: measure(anew(objective))}
    times = timed(calls | bare(objective.model, objective.batches[0], passes))
    once = median((times["new"] - times["ours"]) / times["forward"]) * passes
    return f"noise | {ratios(times)} | | {once:.0f} |"


def residual():
    """The ends of two table rows: a network of 11 million weights on images of 32 x 32 pixels."""
    torch.manual_seed(0)
    model = resnet18().eval()
    batch = Batch(torch.randn(4, 3, 32, 32), torch.randint(0, 10, (4,)))
    objective = Objective(model, [batch], lambda m, b: F.cross_entropy(m(b.x), b.y))
    plane, steps = measures.random_plane(objective), np.linspace(-1, 1, ROW)
    objective.evaluate([objective.w])
    row = timed(
        {"ours": lambda: objective.evaluate(plane.row(0.5, steps))} | bare(model, batch, ROW)
    )
    small = measures.Surface(size=3)
    small(objective)
    whole = timed({"ours": lambda: small(objective)} | bare(model, batch, 9))
    once = 9 * median(whole["ours"] / whole["forward"]) - 9 * median(row["ours"] / row["forward"])
    return f"row | {ratios(row)} | | |", f"surface 3 x 3 | {ratios(whole)} | | {once:.0f} |"


def anew(objective):
    """The same objective, of which nothing is known."""
    return Objective(objective.model, objective.batches, objective.loss)


def ratios(times):
    """Cells of our time over that of the bare passes, without and with loss."""
    return " | ".join(spread(times["ours"] / times[name]) for name in ("forward", "with loss"))


def spread(values):
    """The median, and the smallest and the largest."""
    return f"{median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def bare(model, batch, passes):
    """Forward passes alone, and with what has to be known of them."""
    model.eval()

    @torch.no_grad()
    def forward():
        for _ in range(passes):
            model(batch.x)

    @torch.no_grad()
    def with_loss():
        for _ in range(passes):
            z = model(batch.x)
            F.cross_entropy(z, batch.y).item(), (z.argmax(1) == batch.y).sum().item()

    return {"forward": forward, "with loss": with_loss}


def peer(model, batch, size):
    """A surface of loss-landscapes."""
    import loss_landscapes
    from loss_landscapes.metrics import Loss

    metric, own = Loss(F.cross_entropy, batch.x, batch.y), copy.deepcopy(model).eval()
    return {"peer": lambda: loss_landscapes.random_plane(own, metric, 1, size, "filter")}


def timed(calls):
    """Name -> CPU seconds of each round; the contenders take turns."""
    seconds = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    return {name: np.array(values) for name, values in seconds.items()}


@torch.no_grad()
def error(objective, size):
    """max |L - naive| / max(naive, 0.01) over the surface."""
    record, plane = measures.Surface(size=size)(objective), measures.random_plane(objective)
    (batch,) = objective.batches
    worst = 0.0
    for i, x in enumerate(record.x.tolist()):
        for j, y in enumerate(record.y.tolist()):
            model = copy.deepcopy(objective.model).eval()
            torch.nn.utils.vector_to_parameters(plane.point(x, y), model.parameters())
            loss = F.cross_entropy(model.double()(batch.x.double()), batch.y).item()
            worst = max(worst, abs(record.loss[i, j] - loss) / max(loss, 0.01))
    return worst


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of loss-landscapes
    main()
