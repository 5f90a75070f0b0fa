"""What a GPU is for: ResNet-18 and GPT-2 (small) whole, with the seconds that they may take.

Images are made up, of the shape of CIFAR-10: only the time counts. On a CPU these rows are not
measured; `--quick` tries them there on small sizes.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch

import landscape as ls
from comparison import solvers, steps, surfaces
from comparison.eigenvalues import Entrants
from comparison.rounds import OURS, Block, Contender, Scale
from comparison.startup import command
from comparison.subjects import CRITERION, Subject, cross_entropy, residual, sequences
from landscape.measures import MEASURES
from landscape.models import language_model

DATA = f"{Path(__file__).parent / 'pictures.py'}:splits"
STEPS = {  # method -> milliseconds that a step may take in bfloat16, batch 128
    "sgd": 4.4, "sam": 8.0, "asam": 8.6, "lookbehind": 23.0, "lets": 21.6, "msam": 37.0,
    "fam": 6.4, "aace": 11.5,
}  # fmt: skip
FOUR = "eigenvalues,surface,noise,relative_flatness"


def eigenvalues(scale: Scale) -> Iterator[Block]:
    """Ten eigenvalues of ResNet-18 on 1,000 images."""
    subject, k = residual(scale, scale.pick(1000, 4)), scale.pick(10, 2)
    entrants = Entrants(subject, k, scale.pick(3, 1))
    entrants.ours(at_most=6.0)
    entrants.add("eigsh on curvlinops", solvers.curvlinops)
    entrants.add("hessian-eigenthings, 40 Lanczos steps", solvers.lanczos, setting=40)
    yield Block(f"top {k} eigenvalues", subject.title, entrants.contenders, entrants.rounds)


def gpt2(scale: Scale) -> Iterator[Block]:
    """Three eigenvalues of GPT-2 (small) on 4,096 tokens."""
    sizes = scale.pick((50257, 1024, 768, 12, 12), (64, 32, 8, 1, 2))
    torch.manual_seed(0)
    model = language_model(*sizes).to(scale.device).eval()
    x, y = (t.to(scale.device) for t in sequences(4, sizes[1], sizes[0]))
    subject = Subject("GPT-2 (small)", model, x, y)
    call = partial(solvers.ours, subject, 3, setting=1e-2)
    judge = lambda answers: f"{int(answers[-1][2].sum())} of 3 converged"  # noqa: E731
    entrants = {OURS: Contender(call, judge, at_most=6.0)}
    yield Block("top 3 eigenvalues", subject.title, entrants, scale.pick(2, 1))


def surface(scale: Scale) -> Iterator[Block]:
    """51 x 51 points of ResNet-18 on 1,000 images."""
    subject, size = residual(scale, scale.pick(1000, 4)), scale.pick(51, 3)
    entrants = surfaces.contenders(subject, size, forwards=1.1, at_most=60.0)
    yield Block(f"surface {size} x {size}", subject.title, entrants, scale.pick(2, 1))


def step(scale: Scale) -> Iterator[Block]:
    """A step of each method in bfloat16, beside bare passes; ResNet-18, batch 128."""
    subject = residual(scale, scale.pick(128, 8))
    entrants = {"1 bare pass + base step": Contender(bare(subject))}
    for name, most in STEPS.items():
        method = ls.methods.make(name)
        _, work = steps.ours(method, subject, autocast=torch.bfloat16)
        label = OURS if name == "sgd" else f"{OURS}, {name}"
        entrants[label] = Contender(lambda _, work=work: (work(), None)[1], at_most=most / 1000)
    rounds, repeats = scale.pick(11, 1), scale.pick(10, 1)
    yield Block("a step in bfloat16", subject.title, entrants, rounds, repeats)


def bare(subject: Subject):
    """A step of plain SGD in bfloat16."""
    model, sgd = steps.started(subject)

    def one(_round: int) -> None:
        sgd.zero_grad()
        with torch.autocast(subject.x.device.type, torch.bfloat16):
            loss = CRITERION(model(subject.x), subject.y)
        loss.backward()
        sgd.step()

    return one


def analysis(scale: Scale) -> Iterator[Block]:
    """All measures of a checkpoint of ResNet-18 with default settings, 1,000 images."""
    subject = residual(scale, scale.pick(1000, 4))
    contender = Contender(partial(every_measure, subject, scale), by_measure, at_most=120.0)
    yield Block("every measure, as by default", subject.title, {OURS: contender}, 1)


def every_measure(subject: Subject, scale: Scale, _round: int) -> dict[str, float]:
    """Seconds of each measure, and the peak of the device's memory in GiB."""
    names = scale.pick([name for name in MEASURES if name != "path"], ["eigenvalues", "noise"])
    seconds = {}
    if scale.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model.pt"
        torch.save(subject.network.state_dict(), checkpoint)
        for name in names:
            started = time.perf_counter()
            ls.analyze(
                checkpoint, [name], model=subject.network, data=(subject.x.cpu(), subject.y.cpu()),
                loss=cross_entropy, examples=len(subject.x), device=scale.device, out=folder,
            )  # fmt: skip
            seconds[name] = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() if scale.device != "cpu" else 0
    return {**seconds, "GiB at the most": peak / 2**30}


def by_measure(answers) -> str:
    """Each in words."""
    return ", ".join(f"{name} {value:.1f}" for name, value in answers[-1].items())


def epoch(scale: Scale) -> Iterator[Block]:
    """Epochs of SGD on 45,000 images through `landscape train`."""
    count = scale.pick(45_000, 32)
    call = partial(epochs, scale, count)
    judge = lambda answers: f"{median(answers):.2f} s an epoch; at most 2 asked for"  # noqa: E731
    work, network = "`landscape train`, 3 epochs of SGD", f"ResNet-18, {count:,} images"
    yield Block(work, network, {OURS: Contender(call, judge)}, scale.pick(2, 1))


def epochs(scale: Scale, count: int, turn: int) -> float:
    """Seconds of the last of three epochs, as the run recorded them."""
    with tempfile.TemporaryDirectory() as folder:
        command(
            "train", *arguments(scale, count), "--method", "sgd", "--epochs", "3",
            "--out", f"{folder}/run", turn,
        )  # fmt: skip
        rows = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
        before, after = (json.loads(row)["seconds"] for row in rows[-2:])
        return after - before


def arguments(scale: Scale, count: int) -> list[str]:
    """The same network and data for both commands."""
    side = scale.pick(32, 8)
    data = ["--data", DATA, "--data-args", f"count={count}", "--data-args", f"side={side}"]
    return ["--model", "resnet18", *data, "--device", scale.device, "--quiet"]


def study(scale: Scale) -> Iterator[Block]:
    """Nine methods, five epochs each, four measures on 250 images, and the report."""
    count = scale.pick(45_000, 32)
    chosen, asked = scale.pick(("all", FOUR), ("sgd", "surface"))

    def call(turn: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command(
                "compare", *arguments(scale, count), "--methods", chosen, "--seeds", "1",
                "--epochs", scale.pick("5", "1"), "--measures", asked, "--examples",
                scale.pick("250", "8"), "--set", f"surface.size={scale.pick(25, 3)}",
                "--out", f"{folder}/study", turn,
            )  # fmt: skip

    work = "`landscape compare`, nine methods x 5 epochs, four measures"
    entrants = {OURS: Contender(call, at_most=180.0)}
    yield Block(work, f"ResNet-18, {count:,} images", entrants, 1)
