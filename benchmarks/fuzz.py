"""Mutates what users give the program, thousands of times, and sees it end well each time.

    python benchmarks/fuzz.py [--seed 0] [--count 10000] [--seconds 600] [--kind KIND] [--first 0]

A case may end with 0, 1, 2 (one line for each error) or 130; never with a traceback, never after
more than 10 seconds, nor with more than 1 GiB of memory on top of what the imports take. Case i of
a kind depends on the seed, the kind and i alone: `--kind KIND --first i --count 1` repeats it.

Exit 1 where a case ended otherwise; each is named with the last line of what it said.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import save_file

from landscape.analysis.analyze import analyze
from landscape.data import DATA, archives
from landscape.methods import METHODS
from landscape.training.train import train
from landscape_cli import errors, settings, user_code
from landscape_cli.main import app, run

SECONDS, MEMORY, ENDS = 10, 2**30, {0, 1, 2, 130}
EXTREMES = [b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\xff" * 8, b"\0\0\0\x80", b"[" * 3000]
WORDS = [
    "", "0", "-1", "1e999", "nan", "true", "[]", "{}", "[" * 3000, "9" * 5000, "a.b.c", "\x1b[31m",
    "../..", "/dev/null", "é" * 300, "sam", "digits", "training.lr=0", "noise.draws=-1", "x=[1,",
    "published:nothing", "no.py:thing", "a:b", "@", "sam@", "+", "lets+sam", "1,,2", "\n", "run",
]  # fmt: skip
COMMANDS = ["train", "compare", "analyze", "plot", "audit", "report", "info", "list"]
Case = Callable[[Random, Path], object]


class Hang(BaseException):
    """A case that took more than SECONDS."""


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with one to four changes: bits, extreme numbers, cuts, copies and noise."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        at = random.randrange(len(changed) + 1)
        length = random.choice([1, 2, 8, 64])
        kind = random.choice([0, 0, 0, 0, 1, 1, 2, 3, 4, 5])
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            extreme = random.choice(EXTREMES)
            changed[at : at + len(extreme)] = extreme
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * random.choice([1, 2, 100])
        elif kind == 4:
            changed[at : at + length] = random.randbytes(length)
        else:
            del changed[at:]
    return bytes(changed)


def value(random: Random) -> str:
    """A value of an option, often of a wrong kind."""
    return (
        random.choice(WORDS) if random.random() < 0.7 else mutated(b"0.1", random).decode("latin1")
    )


def command_line(random: Random, folder: Path) -> object:
    """A command with odd arguments and options; nothing is trained or measured."""
    name = random.choice(COMMANDS)
    known = [option for c in app.registered_commands for option in _options(c.callback)]
    words = [name, *(value(random) for _ in range(random.randrange(3)))]
    for _ in range(random.randrange(4)):
        words += [random.choice(known), value(random)]
    if name in ("train", "compare", "analyze"):
        words += ["--dry-run", "--task", "nothing"]
    return run([word for word in words if "\0" not in word])


def _options(command: Callable[..., object] | None) -> list[str]:
    names = command.__annotations__ if command else {}
    return [
        f"--{n.rstrip('_').replace('_', '-')}" for n in names if n not in ("return", "download")
    ]


def option(random: Random, folder: Path) -> object:
    """Settings by `--set`, and keywords of the user's own code."""
    sections = ["training", "data", "sam", "lets", "noise", "sam.training", value(random)]
    keys = ["lr", "epochs", "rho", "milestones", "device", value(random)]
    pair = f"{random.choice(sections)}.{random.choice(keys)}={value(random)}"
    if random.random() < 0.3:
        return errors.reported(lambda: user_code._keywords([pair], "--model-args"))
    return errors.reported(lambda: settings.read(None, [pair], ["sam"]))


TOML = b"""task = "digits"
methods = ["sgd", "sam"]
[training]
epochs = 2
milestones = [0.5, 0.75]
[sam]
rho = 0.1
[sam.training]
lr = 0.05
"""


def toml(random: Random, folder: Path) -> object:
    """A config file."""
    (folder / "c.toml").write_bytes(mutated(TOML, random))
    return errors.reported(lambda: settings.read(folder / "c.toml", [], list(METHODS)[:3]))


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(random: Random, folder: Path, inside: bool) -> None:
    x, y = np.arange(12.0).reshape(3, 4), np.array([0, 1, 2])
    with zipfile.ZipFile(folder / "train.npz", "w", random.choice([0, 8, 12, 14])) as archive:
        for name, array in (("x", x), ("y", y)):
            content = _npy(array)
            archive.writestr(f"{name}.npy", mutated(content, random) if inside else content)
    np.savez(folder / "test.npz", x=x, y=y)


def _tables(folder: Path, ending: str, separator: str) -> None:
    lines = [["a", "b", "label"], ["1", "2.5", "0"], ["3", "4", "1"]]
    for name in ("train", "test"):
        text = "\n".join(separator.join(line) for line in lines) + "\n"
        (folder / f"{name}.{ending}").write_text(text)


def _idx(folder: Path) -> None:
    for part in ("train", "t10k"):
        images = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x1c\0\0\0\x1c" + bytes(2 * 784)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x02\x01\x02")


def _cifar(random: Random, folder: Path) -> None:
    pixels = np.zeros((2, 3072), np.uint8)
    batch = pickle.dumps({b"data": pixels, b"labels": [3, 4]}, random.choice([0, 2, 4]))
    head = mutated(batch[:150], random) + batch[150:]  # most of it are zeros
    (folder / "data_batch_1").write_bytes(head)
    (folder / "test_batch").write_bytes(batch)


def reader(random: Random, folder: Path) -> object:
    """Files of a data set."""
    name = random.choice(["npz", "csv", "tsv", "mnist", "cifar10", "text"])
    inside = random.random() < 0.6
    if name == "npz":
        _npz(random, folder, inside)
    elif name in ("csv", "tsv"):
        _tables(folder, name, "," if name == "csv" else "\t")
    elif name == "mnist":
        _idx(folder)
    elif name == "cifar10":
        _cifar(random, folder)
    else:
        (folder / "input.txt").write_text("some words " * 400)
    if name != "cifar10" and not (name == "npz" and inside):
        path = random.choice(sorted(folder.iterdir()))
        path.write_bytes(mutated(path.read_bytes(), random))
    return errors.reported(lambda: DATA[name](folder) and None)


def archive(random: Random, folder: Path) -> object:
    """An archive of a data set."""
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "deep" / "a").write_bytes(random.randbytes(200))
    kind = random.choice(["tar", "gztar", "bztar", "xztar", "zip"])
    path = Path(shutil.make_archive(str(folder / "x"), kind, folder / "in"))
    path.write_bytes(mutated(path.read_bytes(), random))
    return errors.reported(lambda: archives.unpack(path, folder / "out"))


def checkpoint(random: Random, folder: Path) -> object:
    """A file of weights."""
    state = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(3)}
    path = folder / random.choice(["m.pt", "old.pt", "m.safetensors"])
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state}, path, _use_new_zipfile_serialization=path.stem == "m")
    data = path.read_bytes()
    if path.stem == "m" and path.suffix == ".pt" and random.random() < 0.7:
        _repacked(path, random)
    else:
        path.write_bytes(mutated(data, random))
    return run(["info", str(path)])


def _repacked(path: Path, random: Random) -> None:
    """Change the pickle inside of the archive, whose checksums are then right again."""
    with zipfile.ZipFile(path) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in entries.items():
            pickled = name.endswith("data.pkl")
            changed.writestr(name, mutated(content, random) if pickled else content)


def record(random: Random, folder: Path) -> object:
    """A record's file."""
    source = random.choice(sorted((RUN / "records").glob("*.nc")))
    (folder / source.name).write_bytes(mutated(source.read_bytes(), random))
    return run(["info", str(folder / source.name)])


SHAPES = [b"", b"[]", b"null", b"{}", b"3", b'"a"', b"[" * 3000, b"\xff", b'{"state": []}']


def run_folder(random: Random, folder: Path) -> object:
    """The folder of a run, some of its files changed."""
    copy = Path(shutil.copytree(RUN, folder / "run"))
    names = [p for p in sorted(copy.rglob("*")) if p.is_file()]
    for path in random.sample(names, random.choice([1, 1, 2])):
        if path.suffix == ".json" and random.random() < 0.5:
            path.write_bytes(_other_shape(path.read_bytes(), random))
        else:
            path.write_bytes(mutated(path.read_bytes(), random))
        if random.random() < 0.1:
            path.unlink()
    if random.random() < 0.3:
        (copy / "manifest.json").unlink(missing_ok=True)
    return run([random.choice(["info", "info", "plot", "report"]), str(copy)])


def _other_shape(content: bytes, random: Random) -> bytes:
    """JSON of another shape, or with one entry of another type."""
    tree = json.loads(content)
    if random.random() < 0.4 or not tree:
        return random.choice(SHAPES)
    name = random.choice(sorted(tree))
    tree[name] = random.choice([None, [], {}, 3, -1, "a", [[]], {"a": []}, 1e300, True])
    return json.dumps(tree).encode()


KINDS: dict[str, Case] = {
    "command lines": command_line,
    "options": option,
    "toml": toml,
    "readers": reader,
    "archives": archive,
    "checkpoints": checkpoint,
    "records": record,
    "folders": run_folder,
}
RUN = Path()


def outcome(case: Case, random: Random) -> tuple[int | str, str]:
    """How a case ended, by exit code or in a word, and what it said."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _captured(said):
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            code = case(random, Path(folder))
        except SystemExit as end:
            code = end.code
        except Hang:
            return "hang", "".join(traceback.format_exc().splitlines()[-4:-2])
        except BaseException as error:
            return "traceback", "".join(traceback.format_exception(error)[-3:])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    text = said.getvalue()
    if "Traceback" in text:
        return "traceback", text
    if code == errors.WRONG_INPUT and "error: " not in text:
        return "no reason", text
    return (code if code in ENDS else f"exit {code}"), text


@contextlib.contextmanager
def _captured(said: io.StringIO) -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


def _hang(number: int, frame: object) -> None:
    raise Hang


def fuzz(seed: int, kinds: list[str], first: int, count: int, seconds: float) -> int:
    """Run the cases in turn, print what happened; 1 where a case ended badly."""
    end, ends, bad = time.monotonic() + seconds, Counter[tuple[str, int | str]](), 0
    for i in range(first, first + -(-count // len(kinds))):
        for kind in kinds:
            if time.monotonic() > end:
                break
            result, said = outcome(KINDS[kind], Random(f"{seed} {kind} {i}"))
            ends[kind, result] += 1
            if result not in ENDS:
                bad += 1
                print(f"{kind}, case {i}: {result}\n{said[-1500:]}", flush=True)
    for kind in kinds:
        counts = {result: n for (k, result), n in ends.items() if k == kind}
        words = ", ".join(f"{n} ended with {r}" for r, n in sorted(counts.items(), key=str))
        print(f"{kind}: {sum(counts.values())} cases; {words}")
    print(f"{sum(ends.values())} cases, {bad} ended badly")
    return int(bad > 0)


def main() -> int:
    global RUN
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.pop("LANDSCAPE_DATA", None)
    with tempfile.TemporaryDirectory() as folder:
        made = {"training": {"epochs": 1, "device": "cpu"}}
        run_ = train("digits", "sam", 0, Path(folder) / "run", settings=made)
        noise = {"noise": {"draws": 2, "sigmas": (0.1,)}}
        analyze(run_, ["noise", "eigenvalues"], options=noise, examples=40)
        RUN = run_.path.resolve()
        signal.signal(signal.SIGALRM, _hang)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        kinds = [given.kind] if given.kind else list(KINDS)
        return fuzz(given.seed, kinds, given.first, given.count, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
