"""One epoch of every method on one task, then the four analyses of each: seconds and memory.

    python benchmarks/epoch.py --task cifar10-resnet18 --data-dir DIR --device cuda \
        --out benchmarks/results/epoch_cuda.md

Peak memory is torch's on CUDA; on the CPU the process's, which never falls: read it downwards.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch

from landscape import methods, train
from landscape.analysis.analyze import analyze
from landscape.measures import MEASURES


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="cifar10-resnet18")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--methods", default=",".join(methods.PAPERS))
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    names = [*MEASURES]
    lines = [
        f"# One epoch of {args.task}, then the analyses",
        "",
        f"{device_name(args.device)}, torch {torch.__version__}, one run; measures on "
        f"{args.examples} examples. Peak memory: training / analyses.",
        "",
        f"| method | passes | train s | examples/s | test acc. | {' s | '.join(names)} s | GiB |",
        f"| --- | --- | --- | --- | --- | {'--- | ' * len(names)}--- |",
    ]
    for method in args.methods.split(","):
        lines.append(row(method, args))
        print(lines[-1], flush=True)
    text = "\n".join([*lines, "", f"Command: `python benchmarks/epoch.py --task {args.task}`", ""])
    if args.out:
        args.out.write_text(text)


def row(method, args):
    """One line of the table: train, then ask each measure."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"training": {"epochs": 1, "device": args.device}}
        reset_peak(args.device)
        run = train(args.task, method, 0, folder, settings=settings, data_dir=args.data_dir)
        last, training_peak = run.metrics[-1], peak(args.device)
        reset_peak(args.device)
        seconds = []
        for name in MEASURES if run.status["state"] == "finished" else ():
            started = time.perf_counter()
            analyze(run, [name], examples=args.examples, data_dir=args.data_dir)
            seconds.append(f"{time.perf_counter() - started:.1f}")
        cells = [
            method,
            f"{last['passes']:.0f}",
            f"{last['seconds']:.1f}",
            f"{last.get('examples_per_second', float('nan')):.0f}",
            f"{last['test_accuracy']:.3f}",
            *(seconds or ["diverged"] * len(MEASURES)),
            f"{training_peak:.2f} / {peak(args.device):.2f}",
        ]
    return f"| {' | '.join(cells)} |"


def device_name(device):
    if device == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return torch.cuda.get_device_name()


def reset_peak(device):
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def peak(device):
    """In GiB."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return torch.cuda.max_memory_allocated() / 2**30


if __name__ == "__main__":
    main()
