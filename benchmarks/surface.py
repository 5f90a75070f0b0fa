"""A point of a surface and a noise curve against bare forward passes, a naive loop and
loss-landscapes.

    pip install -e .[bench]
    python benchmarks/surface.py [--out benchmarks/results/surface.md]

Networks of the digits tasks, trained by SGD (seed 0) for 5 epochs; training examples in one batch,
float32, stored batch-norm statistics, one thread. Contenders take turns after every row of a
surface and every noise curve; times are CPU seconds of the process.
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

from landscape import Objective, measures, train

SIZE, DRAWS, CURVES = 41, 20, 9
SIGMAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
LEVELS = len(SIGMAS)
NETS = {"digits-cnn": "conv net with batch norm", "digits": "MLP"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, errors = [], []
    for task, net in NETS.items():
        for examples in (256, 1000):
            objective = trained(task, examples)
            rows += [
                f"| {net} | {examples} | {row}" for row in (surface(objective), noise(objective))
            ]
        errors.append(f"* {net}: {error(objective):.1e}")
    load = f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    command = "Command: `python benchmarks/surface.py`"
    text = "\n".join([*HEAD, *rows, *BETWEEN, *errors, "", load, "", command])
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


HEAD = f"""# The price of a point of a surface and of a noise curve

Digits, float32, one batch, one thread, torch {torch.__version__.partition("+")[0]}, loss-landscapes
{version("loss-landscapes")}; medians over rows and curves.

* *Forward*: as many forward passes at fixed weights, eval mode, no gradients, without loss or
  accuracy; *with loss*: the same with the loss and the number of right answers.
* *Peer*: loss-landscapes' `random_line` with the metric `Loss`, the inner loop of its surfaces, on
  the same batch and number of points; it measures no accuracy.
* *Once*: what a whole call on a new objective costs beside its points, in forward passes: choosing
  a way of a pass, gradient norm, error from the choice of examples, fingerprint.

A row of a surface has {SIZE} points; a noise curve, a whole call, {DRAWS} draws x {LEVELS} levels.

| network | examples | question | ours / forward | ours / with loss | peer / ours | once |
| --- | --- | --- | --- | --- | --- | --- |""".splitlines()
BETWEEN = f"""
Surface of {SIZE} x {SIZE} points against a naive loop over copies of the model in double precision,
1,000 examples: largest difference of the losses in units of max(loss, 0.01).

""".splitlines()


def trained(task, examples):
    """The objective of a trained network."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(task, "sgd", 0, folder, settings={"training": {"epochs": 5, "device": "cpu"}})
        return run.objective("train", examples=examples)


def surface(objective):
    """The end of a table row."""
    plane, w = measures.random_plane(objective), objective.w
    axis = np.linspace(-1, 1, SIZE).tolist()
    model = copy.deepcopy(objective.model)
    objective.evaluate([w])  # chooses its way
    calls = {"ours": lambda x: objective.evaluate(plane.point(x, y) for y in axis)}
    calls |= bare(model, objective.batches[0], SIZE) | peer(model, objective.batches[0])
    ours, forward, loss, theirs = (np.array(t) for t in timed(calls, axis).values())
    started = time.process_time()
    measures.Surface(size=3)(Objective(objective.model, objective.batches, objective.loss))
    once = time.process_time() - started - 9 * median(ours) / SIZE
    return (
        f"surface | {median(ours / forward):.2f} | {median(ours / loss):.2f} "
        f"| {median(theirs / ours):.2f} | {once * SIZE / median(forward):.0f} |"
    )


def noise(objective):
    """The end of a table row."""
    measure = measures.NoiseRobustness(sigmas=SIGMAS, draws=DRAWS)
    calls = {"ours": lambda _: measure(objective)}
    calls |= bare(objective.model.eval(), objective.batches[0], LEVELS * DRAWS)
    ours, forward, loss = (np.array(t) for t in timed(calls, range(CURVES)).values())
    return f"noise | {median(ours / forward):.2f} | {median(ours / loss):.2f} | | |"


def bare(model, batch, passes):
    """Forward passes alone, and with what has to be known of them."""
    model.eval()

    @torch.no_grad()
    def forward(_):
        for _ in range(passes):
            model(batch.x)

    @torch.no_grad()
    def with_loss(_):
        for _ in range(passes):
            z = model(batch.x)
            F.cross_entropy(z, batch.y).item(), (z.argmax(1) == batch.y).sum().item()

    return {"forward": forward, "with loss": with_loss}


def peer(model, batch):
    """One row's worth of loss-landscapes."""
    import loss_landscapes
    from loss_landscapes.metrics import Loss

    metric, own = Loss(F.cross_entropy, batch.x, batch.y), copy.deepcopy(model).eval()
    return {"peer": lambda _: loss_landscapes.random_line(own, metric, 1, SIZE, "filter")}


def timed(calls, arguments):
    """Name -> CPU seconds for each argument; the contenders take turns."""
    seconds = {name: [] for name in calls}
    for argument in arguments:
        for name, call in calls.items():
            started = time.process_time()
            call(argument)
            seconds[name].append(time.process_time() - started)
    return seconds


@torch.no_grad()
def error(objective):
    """max |L - naive| / max(naive, 0.01) over the surface."""
    record, plane = measures.Surface(size=SIZE)(objective), measures.random_plane(objective)
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
