"""Does our training reach what a plain loop reaches? SGD and SAM, test accuracy over seeds.

    python benchmarks/plain_loop.py [--task cifar10-resnet18] [--model lenet --model-args channels=3
        --model-args size=32] [--epochs 5] [--seeds 3] [--device cuda] [--data-dir DIR]
        [--out benchmarks/results/plain_loop.md]

The loop is written out below: torch's SGD, a cosine by step, SAM as the public implementations have
it. It shares the examples, the augmentation and the evaluation with ours, nothing else: its order
and its initial weights are its own. Differences of independent runs have Welch's interval.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F

import landscape as ls
from landscape.data import split
from landscape.tasks.registration import register_task
from landscape.tasks.registry import task as find_task
from landscape.training.train import settings_for
from landscape.utils.environment import environment


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="cifar10-resnet18")
    parser.add_argument("--model")
    parser.add_argument("--model-args", action="append", default=[], metavar="NAME=INTEGER")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sizes = {name: int(value) for name, _, value in (a.partition("=") for a in args.model_args)}
    task = register_task(args.task, model=args.model, model_args=sizes or None)
    data = find_task(task).load(args.data_dir)
    lines = [f"| {task}, {args.epochs} epochs | ours | plain loop | difference [95 %] |"]
    lines.append("| --- | --- | --- | --- |")
    for method in ("sgd", "sam"):
        ours, theirs = [], []
        for seed in range(args.seeds):
            ours.append(our_accuracy(task, method, seed, args))
            theirs.append(plain_accuracy(task, method, seed, data, args))
        lines.append(row(method, np.array(ours), np.array(theirs)))
        print(lines[-1], flush=True)
    machine = ", ".join(f"{key} {value}" for key, value in environment().items() if value)
    text = "\n".join(
        [*lines, "", f"Test accuracy in per cent, each seed. {args.device}; {machine}.", ""]
    )
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


def settings_of(method, args):
    training = {"epochs": args.epochs, "lr": args.lr, "evaluate_every": 0, "device": args.device}
    return {"training": training}


def our_accuracy(task, method, seed, args):
    with tempfile.TemporaryDirectory() as folder:
        run = ls.train(
            task, method, seed, Path(folder) / "run", settings=settings_of(method, args),
            data_dir=args.data_dir,
        )  # fmt: skip
        return run.metrics[-1]["test_accuracy"]


def plain_accuracy(task, method, seed, data, args):
    """The same, in a loop of plain torch."""
    chosen = settings_for(task, method, seed, settings_of(method, args))
    training, size = chosen.training, chosen.data.batch_size
    part = split(data, seed, chosen.data.held_out, 0.0).train
    torch.manual_seed(1000 + seed)
    generator = torch.Generator().manual_seed(2000 + seed)
    net = find_task(task).build().to(args.device)
    base = torch.optim.SGD(
        net.parameters(), training.lr, training.momentum, weight_decay=training.weight_decay
    )
    rho = chosen.methods["sam"].get("rho", 0.05) if method == "sam" else 0.0
    per_epoch = part.size // size
    steps, step = args.epochs * per_epoch, 0
    for _ in range(args.epochs):
        order = torch.randperm(part.size)
        for i in range(per_epoch):
            rows = order[i * size : (i + 1) * size]
            x, y = part.x[rows], part.y[rows].to(args.device)
            if data.augment is not None:
                x = data.augment(x, generator)
            x = x.to(args.device)
            base.param_groups[0]["lr"] = training.lr * (1 + math.cos(math.pi * step / steps)) / 2
            base.zero_grad()
            F.cross_entropy(net(x), y).backward()
            if rho:
                norm = torch.stack([p.grad.norm() for p in net.parameters()]).norm()
                climbs = [rho * p.grad / (norm + 1e-12) for p in net.parameters()]
                with torch.no_grad():
                    for p, e in zip(net.parameters(), climbs, strict=True):
                        p.add_(e)
                base.zero_grad()
                F.cross_entropy(net(x), y).backward()
                with torch.no_grad():
                    for p, e in zip(net.parameters(), climbs, strict=True):
                        p.sub_(e)
            base.step()
            step += 1
    net.eval()
    with torch.no_grad():
        right = sum(
            (net(x.to(args.device)).argmax(1).cpu() == y).sum().item()
            for x, y in zip(data.test_x.split(500), data.test_y.split(500), strict=True)
        )
    return right / len(data.test_y)


def row(method, ours, theirs):
    found = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    numbers = [", ".join(f"{100 * value:.1f}" for value in each) for each in (ours, theirs)]
    mean = 100 * (ours.mean() - theirs.mean())
    return (
        f"| {method} | {numbers[0]} | {numbers[1]} "
        f"| {mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}] |"
    )


if __name__ == "__main__":
    main()
