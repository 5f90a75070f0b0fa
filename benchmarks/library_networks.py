"""Networks of other libraries under every measure: what works, at what cost.

    python benchmarks/library_networks.py [network ...]

Each network has random weights and a process of its own with a time limit; nothing is downloaded.
Libraries that are missing are said to be. Writes benchmarks/results/library_networks.md.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import landscape as ls

OUT = Path(__file__).parent / "results" / "library_networks.md"
EXAMPLES, BATCH, LIMIT = 8, 4, 900  # seconds a network
SMALL: dict[str, dict[str, Any]] = {
    "eigenvalues": {"k": 2, "max_hvps": 12, "tolerance": 1e-2},
    "trace": {"max_hvps": 24, "tolerance": 0.5},
    "spectral_density": {"probes": 2, "steps": 5},
    "relative_flatness": {},
    "noise": {"sigmas": (0.0, 0.01), "draws": 2},
    "quantization": {"bits": (8,)},
    "pruning": {"fractions": (0.2,)},
    "worst_case": {"radii": (0.5,), "steps": 1, "restarts": 0},
    "sharpness": {"steps": 1, "restarts": 0},
    "rise_area": {"size": 9, "cells": 1.0},
    "surface": {"size": 3},
    "profile": {"lines": 1, "size": 3},
    "path": {"size": 3},
}
Made = tuple[nn.Module, list[Any], Callable[[nn.Module, Any], Tensor], Any]


def images(side: int, classes: int = 10) -> list[Any]:
    """Random pictures and classes, as a loader yields them."""
    x, y = torch.randn(EXAMPLES, 3, side, side), torch.randint(classes, (EXAMPLES,))
    return list(zip(x.split(BATCH), y.split(BATCH), strict=True))


def tokens(length: int = 16, words: int = 100) -> Tensor:
    """Random sentences (EXAMPLES, length)."""
    return torch.randint(1, words, (EXAMPLES, length))


def dicts(**columns: Tensor) -> list[dict[str, Tensor]]:
    """Batches as a loader of transformers yields them."""
    return [
        dict(zip(columns, parts, strict=True))
        for parts in zip(*(t.split(BATCH) for t in columns.values()), strict=True)
    ]


def cross_entropy(model: nn.Module, batch: ls.Batch) -> Tensor:
    """Of a network that answers with logits."""
    return F.cross_entropy(model(batch.x), batch.y)


def its_own(model: nn.Module, batch: ls.Batch) -> Tensor:
    """The loss that a network of transformers computes when it is given labels."""
    return model(**batch.x).loss


def torchvision_net(name: str, side: int = 32, **settings: Any) -> Made:
    """By its name in torchvision."""
    from torchvision.models import get_model

    return (
        get_model(name, weights=None, num_classes=10, **settings),
        images(side),
        cross_entropy,
        None,
    )


def timm_net(name: str, side: int = 32, **settings: Any) -> Made:
    """By its name in timm."""
    import timm

    model = timm.create_model(name, pretrained=False, num_classes=10, **settings)
    return model, images(side), cross_entropy, None


def bert() -> Made:
    """An encoder with a classifier, its batches dicts with a mask."""
    from transformers import BertConfig, BertForSequenceClassification

    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=100, intermediate_size=128, num_labels=3, **size)
    x = tokens()
    mask = (torch.arange(16) < torch.randint(8, 17, (EXAMPLES, 1))).long()
    labels = torch.randint(3, (EXAMPLES,))
    data = dicts(input_ids=x, attention_mask=mask, labels=labels)
    return BertForSequenceClassification(config), data, its_own, None


def gpt2() -> Made:
    """A decoder whose head is tied to its embedding."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=100, n_positions=32, n_embd=64, n_layer=2, n_head=4)
    x = tokens()
    return GPT2LMHeadModel(config), dicts(input_ids=x, labels=x), its_own, None


class Recurrent(nn.Module):
    """Embedding, nn.LSTM, classes from its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(100, 24), nn.LSTM(24, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, length) to logits (batch, 4)."""
        return self.head(self.lstm(self.embedding(x))[0][:, -1])


def lstm() -> Made:
    """A recurrent classifier."""
    x, y = tokens(), torch.randint(4, (EXAMPLES,))
    return Recurrent(), list(zip(x.split(BATCH), y.split(BATCH), strict=True)), cross_entropy, None


def regression() -> Made:
    """Real targets, squared error."""
    model = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.LayerNorm(32), nn.Linear(32, 2))
    x = torch.randn(EXAMPLES, 6)
    y = torch.stack([x.sum(1), x.prod(1)], 1)
    data = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    return model, data, lambda m, batch: F.mse_loss(m(batch.x), batch.y), None


class Tied(nn.Module):
    """An auto-encoder whose decoder is its encoder's weight, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(20, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 20) to (batch, 20)."""
        return torch.tanh(self.encoder(x)) @ self.encoder.weight


def tied() -> Made:
    """One weight, used twice."""
    x = torch.randn(EXAMPLES, 20)
    data = list(zip(x.split(BATCH), x.split(BATCH), strict=True))
    return Tied(), data, lambda m, batch: F.mse_loss(m(batch.x), batch.y), None


NETWORKS: dict[str, Callable[[], Made]] = {
    "torchvision resnet18": lambda: torchvision_net("resnet18"),
    "torchvision mobilenet_v3_small": lambda: torchvision_net("mobilenet_v3_small"),
    "torchvision vit_b_16 (2 layers)": lambda: (
        __import__("torchvision").models.VisionTransformer(
            32, 8, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10
        ), images(32), cross_entropy, None,
    ),
    "timm convnext_atto": lambda: timm_net("convnext_atto"),
    "timm vit_tiny_patch16_224 at 32": lambda: timm_net(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=3
    ),
    "transformers BERT classifier": bert,
    "transformers GPT-2": gpt2,
    "nn.LSTM classifier": lstm,
    "regression, SiLU and layer norm": regression,
    "auto-encoder with tied weights": tied,
}  # fmt: skip


def define_missing_operators() -> None:
    """torchvision built for another torch does not find its own operators; none is used here."""
    library = torch.library.Library("torchvision", "DEF")
    while True:
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            library.define(f"{missing[1]}() -> ()")
            for name in [name for name in sys.modules if name.startswith("torchvision")]:
                del sys.modules[name]
        else:
            define_missing_operators.kept = library  # type: ignore[attr-defined]
            return


def ask(name: str) -> Iterator[dict[str, Any]]:
    """One row for the network, then one for each measure."""
    torch.manual_seed(0)
    with suppress(ImportError):
        define_missing_operators()
    try:
        model, data, loss, logits = NETWORKS[name]()
        other, *_ = NETWORKS[name]()
    except ImportError as error:
        yield {"error": f"not run: {error.name} is not installed"}
        return
    objective = ls.Objective(model, data, loss, logits=logits)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    value, accuracy = objective.value_and_accuracy()
    yield {"n": objective.weights.n, "loss": value, "accuracy": accuracy}
    forward = min(elapsed(objective.grad) for _ in range(3))
    yield {"gradient": forward, "memory": peak()}
    end = ls.Objective(other, data, loss, logits=logits).w
    for measure, kind in ls.measures.MEASURES.items():
        settings = {**SMALL[measure], **({"end": end} if measure == "path" else {})}
        row: dict[str, Any] = {"measure": measure}
        started = time.perf_counter()
        try:
            kind(**settings)(objective)
        except ValueError as error:
            row["refused"] = str(error)
        except Exception as error:  # a defect: it is shown as one
            row["failed"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        yield {**row, "seconds": time.perf_counter() - started, "memory": peak()}
    after = model.state_dict()
    yield {"untouched": all(torch.equal(before[key], after[key]) for key in before)}


def elapsed(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(name: str) -> list[dict[str, Any]]:
    """The rows of a network, from a process of its own; what came before a limit is kept."""
    command = [sys.executable, __file__, "--one", name]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        try:
            out, err = p.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            err = f"stopped after {LIMIT} s"
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if p.returncode:
        rows.append({"error": (err.strip().splitlines() or ["no message"])[-1]})
    print(name, f"{time.monotonic() - started:.0f} s", rows[-1], flush=True)
    return rows


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """The page."""
    measures = list(SMALL)
    head = [
        "network",
        "n",
        "accuracy",
        *(m.replace("_", " ") for m in measures),
        "memory",
        "left as it was",
    ]
    lines, notes = [head, ["---"] * len(head)], []
    for name, rows in found.items():
        facts = {key: value for row in rows if "measure" not in row for key, value in row.items()}
        asked = {row["measure"]: row for row in rows if "measure" in row}
        gradient = facts.get("gradient", float("nan"))
        cells = []
        for measure in measures:
            row = asked.get(measure, {})
            reason = row.get("refused") or row.get("failed")
            if reason:
                notes.append(
                    f"* {name}, {measure}: {'FAILED: ' if 'failed' in row else ''}{reason}"
                )
            cells.append(
                f"[{len(notes)}]" if reason else f"{row['seconds'] / gradient:.0f}" if row else "-"
            )
        if "error" in facts:
            notes.append(f"* {name}: {facts['error']}")
        accuracy, untouched = facts.get("accuracy"), facts.get("untouched")
        memory = max((row["memory"] for row in rows if "memory" in row), default=float("nan"))
        lines.append([
            name, f"{facts.get('n', 0):,}",
            "-" if accuracy is None or accuracy != accuracy else f"{accuracy:.2f}",
            *cells, f"{memory:.0f} MiB", {True: "yes", False: "NO"}.get(untouched, "-"),
        ])  # fmt: skip
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return TEXT.format(table=text, notes="\n".join(notes) or "None.", versions=versions())


def versions() -> str:
    """Of what was run."""
    found = []
    for package in ("torch", "torchvision", "timm", "transformers"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return f"Python {sys.version.split()[0]}, {', '.join(found)}, {torch.get_num_threads()} threads"


TEXT = f"""# Networks of other libraries under every measure

`python benchmarks/library_networks.py`: random weights, {EXAMPLES} examples in batches of {BATCH},
small settings (they stand in the script), float32, CPU, each network in a process of its own.
{{versions}}.

A number is the time of a measure in gradients over all the data, from one run on a busy machine;
memory: the most that the process held, libraries included.
"-": does not apply, or was not reached.

{{table}}

## What does not work, and why

{{notes}}
"""


def main() -> None:
    """All of the networks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="default: all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        for row in ask(given.one):
            print(json.dumps(row), flush=True)
        return
    chosen = given.networks or list(NETWORKS)
    page = table({name: run(name) for name in chosen})
    if given.networks:
        print(page)
    else:
        OUT.write_text(page, encoding="utf-8")
        print(os.path.relpath(OUT))


if __name__ == "__main__":
    main()
