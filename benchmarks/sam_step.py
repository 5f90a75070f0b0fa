"""What a step costs beyond its passes: ResNet-18 on CIFAR-10 shapes, batch 128, one run, medians.

    python benchmarks/sam_step.py [--steps 5] [--device cpu] [--out benchmarks/results/sam_step.md]

Plain: zero_grad, loss, backward on the bare module, and the base optimizer's step. The rounds are
interleaved, so that a busy machine disturbs all alike. Data are random: only the time counts.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from landscape import Batch, methods, optim
from landscape.models import resnet18

METHODS = {"sgd": 1, "sam": 2, "asam": 2}  # passes a step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    seconds = measure(args.device, args.size, args.steps)
    text = table(seconds, args)
    print(text)
    if args.out:
        args.out.write_text(text)


def measure(device, size, steps):
    """Seconds per round of each contender."""
    torch.manual_seed(0)
    x = torch.randn(size, 3, 32, 32, device=device)
    y = torch.randint(0, 10, (size,), device=device)
    contenders = {
        "pass": plain(device, x, y, step=False),
        "base step": plain(device, x, y, step=True),
    }
    contenders |= {name: wrapped(device, x, y, name) for name in METHODS}
    seconds = {name: [] for name in contenders}
    for round_ in range(steps + 1):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            if round_:  # the first is warm-up
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def plain(device, x, y, step):
    """One pass of the bare module, or only the base optimizer's step."""
    model = resnet18().to(device)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    F.cross_entropy(model(x), y).backward()

    def one_pass():
        sgd.zero_grad()
        F.cross_entropy(model(x), y).backward()

    return sgd.step if step else one_pass


def wrapped(device, x, y, name):
    """One step of a method of ours on the same network."""
    model = resnet18().to(device)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    loss = lambda model, batch: F.cross_entropy(model(batch.x), batch.y)  # noqa: E731
    stepper = optim.wrap(methods.METHODS[name](), model, sgd, loss)
    return lambda: stepper.step(Batch(x, y))


def table(seconds, args):
    """Markdown: each method's time over the passes it needs plus one base step."""
    where = (
        torch.cuda.get_device_name()
        if args.device != "cpu"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    lines = [
        "# Cost of a step, ResNet-18 (CIFAR stem)",
        "",
        f"Batch {args.size}, {where}, torch {torch.__version__}, "
        f"median of {args.steps} interleaved rounds.",
        "Ratio: to the plain passes the method needs plus one base optimizer step, same run.",
        "",
        "| method | passes | seconds | ratio |",
        "| --- | --- | --- | --- |",
    ]
    for name, passes in METHODS.items():
        floor = passes * seconds["pass"] + seconds["base step"]
        lines.append(f"| {name} | {passes} | {seconds[name]:.3f} | {seconds[name] / floor:.3f} |")
    return "\n".join([*lines, "", "Command: `python benchmarks/sam_step.py`", ""])


if __name__ == "__main__":
    main()
