"""Real data through `landscape compare`: images with nine methods, sentences with three, a text
with two, three seeds each.

    python benchmarks/real_data.py FOLDER [--out benchmarks/results/real_data.md] [--keep STUDIES]

FOLDER: holds fashion-mnist (idx files), sst2 (tables) and tinyshakespeare (input.txt). What is in
STUDIES already is kept, so the same command goes on after a stop.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import study_table
import torch

from landscape import Study

FLAT = "eigenvalues,relative_flatness,noise,quantization,pruning"
STUDIES = {
    "Fashion-MNIST, conv net, 2 epochs": (
        "--task fashion-mnist --methods all --seeds 3 --epochs 2 "
        f"--measures {FLAT},worst_case,surface,profile"
    ),
    "SST-2, transformer over words, 1 epoch": (
        f"--task sst2-transformer --methods adamw,sam,msam --seeds 3 --epochs 1 --measures {FLAT}"
    ),
    "Tiny Shakespeare, transformer over bytes, 1 epoch": (
        f"--task shakespeare-transformer --methods adamw,sam --seeds 3 --epochs 1 --measures {FLAT}"
    ),
}
SHOWN = ("test_accuracy", "test_loss", "generalisation_gap", "lambda_max", "kappa", "grad_evals")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    text = [
        "# Real data through `landscape compare`",
        "",
        f"Three seeds, torch {torch.__version__}. Mean ± half of the 95 % t interval over seeds. "
        "A star: the paired interval against the first method leaves out zero and Holm's p < 0.05, "
        "by Student's t alone: with three seeds no exact test can reach that.",
    ]
    with nullcontext(args.keep) if args.keep else tempfile.TemporaryDirectory() as folder:
        for name, flags in STUDIES.items():
            path = Path(folder) / flags.split()[1]
            compare(flags, args.data, path)
            command = f"`landscape compare {flags} --data-dir FOLDER`"
            text += ["", f"## {name}", "", *study_table.lines(Study(path), SHOWN), "", command]
    text += ["", "Command: `python benchmarks/real_data.py FOLDER`", ""]
    print("\n".join(text))
    if args.out:
        args.out.write_text("\n".join(text))


def compare(flags, data, path):
    job = [sys.executable, "-m", "landscape_cli.main", "compare", *flags.split()]
    process = subprocess.run([*job, "--data-dir", data, "--out", path])
    if process.returncode:
        sys.exit(f"the study {path.name} failed with exit code {process.returncode}")


if __name__ == "__main__":
    main()
