"""What a step costs beyond its passes, method by method on four networks: CPU time of one thread.

    python benchmarks/sam_step.py [--rounds 5] [--networks mlp,lenet] [--methods sam,lets]
        [--device cpu] [--out benchmarks/results/sam_step.md]

Floor: forward and backward passes of the bare module over the whole batch, one where a method takes
one gradient, and one step of the base optimizer. A bare SAM loop, as the public implementations
have it, stands beside ours. Rounds are interleaved, so that a busy machine disturbs all alike. Data
are random: only the time counts. On CUDA it is the time of the clock.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, methods, optim
from landscape.models import language_model, lenet, resnet18

BARE = "bare SAM loop"
METHODS = {
    "sgd": (methods.SGD, 1),
    "sam": (methods.SAM, 2),
    "asam": (methods.ASAM, 2),
    "msam": (lambda: methods.MSAM(num_shards=8), 2),
    "lets": (methods.LETS, 3),
    "fam": (methods.FAM, 1),
}  # with the gradients of a whole batch that a step takes, products of a penalty not among them
NETWORKS = {
    "mlp": ("MLP 64-128-10", 64, 40),
    "lenet": ("LeNet, 28x28", 64, 4),
    "lm": ("tied language model", 16, 2),
    "resnet18": ("ResNet-18, 32x32", 16, 1),
}  # title, examples of a batch, steps of a timing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = args.methods.split(",")
    rows = []
    for network in args.networks.split(","):
        title, _, repeats = NETWORKS[network]
        rows.append((title, ratios(*network_and_batch(network, args.device), names, repeats, args)))
        print(row(*rows[-1]), flush=True)
    text = table(rows, names, args)
    if args.out:
        args.out.write_text(text)


def network_and_batch(name, device):
    """What builds the network, and a batch of random data for it."""
    torch.manual_seed(0)
    size = NETWORKS[name][1]
    y = torch.randint(0, 10, (size,), device=device)
    if name == "mlp":
        build = lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))  # noqa: E731
        return build, Batch(torch.randn(size, 64, device=device), y)
    if name == "lm":
        tokens = torch.randint(0, 64, (size, 33), device=device)
        build = lambda: language_model(64, length=32, width=64, depth=2)  # noqa: E731
        return build, Batch(tokens[:, :-1], tokens[:, 1:])
    shape, build = ((1, 28, 28), lenet) if name == "lenet" else ((3, 32, 32), resnet18)
    return build, Batch(torch.randn(size, *shape, device=device), y)


def ratios(build, batch, names, repeats, args):
    """Each contender's steps over their floor, round by round."""

    def optimized():
        model = build().to(args.device)
        return model, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

    model, sgd = optimized()
    contenders = {"pass": lambda: gradient(model, sgd, batch), "base step": sgd.step}
    contenders[BARE] = bare_sam(*optimized(), batch)
    contenders |= {name: ours(*optimized(), batch, name) for name in names}
    seconds = {name: [] for name in contenders}
    for _ in range(args.rounds + 1):  # the first is warm-up
        for name, work in contenders.items():
            seconds[name].append(timed(work, repeats, args.device))
    passes = {BARE: 2, **{name: METHODS[name][1] for name in names}}
    floors = list(zip(seconds["pass"], seconds["base step"], strict=True))
    return {
        name: [
            t / (count * one_pass + step)
            for t, (one_pass, step) in zip(seconds[name][1:], floors[1:], strict=True)
        ]
        for name, count in passes.items()
    }


def timed(work, repeats, device):
    """Seconds of one of `repeats` calls."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    for _ in range(repeats):
        work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - started) / repeats


def loss(model, batch):
    """Mean cross-entropy, over all positions."""
    return F.cross_entropy(model(batch.x).flatten(0, -2), batch.y.flatten())


def gradient(model, optimizer, batch):
    """One pass of the bare module."""
    optimizer.zero_grad()
    loss(model, batch).backward()


def bare_sam(model, optimizer, batch):
    """A step of SAM that moves the parameters themselves, one by one, and back."""
    parameters = list(model.parameters())

    @torch.no_grad()
    def climb():
        length = torch.stack([p.grad.norm() for p in parameters]).norm()
        kept = [p.clone() for p in parameters]
        for p in parameters:
            p.add_(p.grad * (0.05 / (length + 1e-12)))
        return kept

    @torch.no_grad()
    def back(kept):
        for p, start in zip(parameters, kept, strict=True):
            p.copy_(start)

    def step():
        gradient(model, optimizer, batch)
        kept = climb()
        gradient(model, optimizer, batch)
        back(kept)
        optimizer.step()

    return step


def ours(model, optimizer, batch, name):
    """A step of one of our methods on the same network."""
    sides = {"held_out": [batch]} if name == "lets" else {}
    stepper = optim.wrap(METHODS[name][0](), model, optimizer, loss, **sides)
    return lambda: stepper.step(batch)


def row(title, measured):
    """Markdown: medians, with the quartiles of the rounds."""
    cells = []
    for values in measured.values():
        low, middle, high = statistics.quantiles(values, n=4)
        cells.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
    return f"| {' | '.join([title, *cells])} |"


def table(rows, names, args):
    """Markdown: a row for each network, a column for each contender."""
    where = "CPU, one thread" if args.device == "cpu" else torch.cuda.get_device_name()
    return "\n".join(
        [
            "# Cost of a step over its passes",
            "",
            f"{where}, torch {torch.__version__}, {args.rounds} interleaved rounds; median ratio "
            "(quartiles) of a step",
            "to the plain passes of the bare module that it needs over the whole batch, plus one "
            "step of the base optimizer:",
            "sgd and fam 1 pass, sam, asam, msam (8 shards) and the bare loop 2, lets 3. fam has "
            "random signs on the tied head.",
            "",
            f"| network | {' | '.join([BARE, *names])} |",
            f"| --- |{' --- |' * (len(names) + 1)}",
            *(row(*each) for each in rows),
            "",
            "Command: `python benchmarks/sam_step.py`",
            "",
        ]
    )


if __name__ == "__main__":
    main()
