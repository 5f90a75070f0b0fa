"""A surface and a noise curve against bare forward passes, a naive loop and loss-landscapes 3.0.6.

    pip install -e .[bench] && pip install --no-deps loss-landscapes==3.0.6
    python benchmarks/surface.py [--out benchmarks/results/surface.md]

Networks of the digits tasks, trained by SGD (seed 0) for 5 epochs; 1,000 training examples in one
batch, float32, stored batch-norm statistics, one thread. Every contender runs once per round, in
turn; times are CPU seconds of the process, ratios are taken within a round.
"""

import argparse
import copy
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F

from landscape import measures, train
from landscape.measures.planes import random_plane

SIZE, DRAWS = 41, 20
SIGMAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
TASKS = {"digits-cnn": "conv net with batch norm", "digits": "MLP"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    objectives = {name: objective(name) for name in TASKS}
    errors = {name: error(o) for name, o in objectives.items()}
    rows = []
    for name, o in objectives.items():
        surface = compared(contenders(o, SIZE**2, measures.Surface(size=SIZE)), args.rounds)
        noise = measures.NoiseRobustness(sigmas=SIGMAS, draws=DRAWS)
        noise = compared(contenders(o, len(SIGMAS) * DRAWS, noise), args.rounds)
        for question, ratios in ((f"surface, {SIZE} x {SIZE}", surface), (NOISE, noise)):
            peer = f"{ratios['peer']:.2f}" if question != NOISE else ""
            rows.append(
                f"| {TASKS[name]} | {question} | {ratios['forward']:.2f} | {ratios['loss']:.2f} "
                f"| {peer} |"
            )
    stated = [f"* {TASKS[name]}: {value:.1e}" for name, value in errors.items()]
    text = "\n".join([*head(args.rounds), *rows, "", *BETWEEN, *stated, "", COMMAND, ""])
    print(text)
    if args.out:
        args.out.write_text(text)


NOISE = f"noise curve, {DRAWS} draws x {len(SIGMAS)} levels"
COMMAND = "Command: `python benchmarks/surface.py`"
BETWEEN = [
    f"Surface of {SIZE} x {SIZE} points against a naive loop over copies of the model in double",
    "precision: largest difference of the losses in units of max(loss, 0.01).",
    "",
]


def head(rounds):
    return [
        "# Surfaces and noise curves: the price of a point",
        "",
        f"Digits, 1,000 examples in one batch, float32, one thread, torch {torch.__version__[:6]},",
        f"loss-landscapes {version('loss-landscapes')}; CPU seconds, median ratio of {rounds} rounds. "
        "Ours is the whole call",
        "on a new objective: the choice of a pass, the gradient norm and the error from the choice",
        "of examples included. *Forward*: as many forward passes at fixed weights (eval mode, no",
        "gradients, the same batch) without loss or accuracy. *With loss*: the same with the loss",
        "and the number of right answers. loss-landscapes: `random_plane` with the metric `Loss` on",
        "the same batch and number of points; it measures no accuracy, and not the same points.",
        "",
        "| network | question | ours / forward | ours / with loss | loss-landscapes / ours |",
        "| --- | --- | --- | --- | --- |",
    ]


def objective(name):
    """The trained network on 1,000 training examples."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(name, "sgd", 0, folder, settings={"training": {"epochs": 5, "device": "cpu"}})
        return run.objective("train", examples=1000)


def contenders(objective, points, ours):
    """Name -> a call that does the work of so many points."""
    model = copy.deepcopy(objective.model).eval()
    (batch,) = objective.batches

    @torch.no_grad()
    def forward():
        for _ in range(points):
            model(batch.x)

    @torch.no_grad()
    def with_loss():
        for _ in range(points):
            z = model(batch.x)
            F.cross_entropy(z, batch.y).item(), (z.argmax(1) == batch.y).sum().item()

    def peer():
        import loss_landscapes
        from loss_landscapes.metrics import Loss

        metric = Loss(F.cross_entropy, batch.x, batch.y)
        loss_landscapes.random_plane(model, metric, 1, SIZE, "filter", deepcopy_model=True)

    return {
        "ours": lambda: ours(fresh(objective)),
        "forward": forward,
        "loss": with_loss,
        **({"peer": peer} if points == SIZE**2 else {}),
    }


def fresh(objective):
    """The objective anew, so that nothing it has learned is reused."""
    return type(objective)(objective.model, objective.batches, objective.loss)


def compared(calls, rounds):
    """Median ratios: ours to each bare loop, the peer to ours."""
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    ours = seconds.pop("ours")
    found = {k: median(np.divide(ours, v)) for k, v in seconds.items()}
    if "peer" in found:
        found["peer"] = median(np.divide(seconds["peer"], ours))
    return found


def error(objective):
    """max |L - naive| / max(naive, 0.01) over the surface."""
    record = measures.Surface(size=SIZE)(objective)
    plane, w = random_plane(objective, seed=0), objective.w
    worst = 0.0
    for i, x in enumerate(record.x):
        for j, y in enumerate(record.y):
            loss = naive(objective, w + float(x) * plane.d1 + float(y) * plane.d2)
            worst = max(worst, abs(record.loss[i, j] - loss) / max(loss, 0.01))
    return worst


@torch.no_grad()
def naive(objective, point):
    """The loss of a copy of the model that was moved to the point, in double precision."""
    model = copy.deepcopy(objective.model).eval()
    torch.nn.utils.vector_to_parameters(point, model.parameters())
    model.double()
    return sum(
        share * F.cross_entropy(model(b.x.double()), b.y).item()
        for b, share in zip(objective.batches, objective.shares, strict=True)
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of loss-landscapes
    main()
