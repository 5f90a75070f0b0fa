"""The tables of a comparison, in Markdown."""

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import torch

from comparison.rounds import OURS, Block, Line, Scale
from landscape.utils.environment import processor

Row = Callable[[Scale], Iterator[Block]]
PEERS = (
    "pyhessian", "curvlinops-for-pytorch", "hessian-eigenthings", "loss-landscapes",
    "pytorch_optimizer", "scipy",
)  # fmt: skip
HEAD = """\
# Beside other libraries

{environment}

Every contender starts from a model and its data, after one call to warm up; they take turns.
*Time / ours*: a contender's time over ours of the same round, median (least-most): above 1 ours is
faster. *Aim*: that ratio at least, or the seconds at most. *Seconds*: the median. *Answer*: against
float64 references that share no code with the package, the worst of all rounds unless it is said.
{command}
| work | network | contender | time / ours | aim | seconds | answer |
| --- | --- | --- | --- | --- | --- | --- |"""
QUICK = "Tried on small sizes: these figures mean nothing. "


def head(scale: Scale) -> Iterator[str]:
    """What stands above the table."""
    command = "python benchmarks/peers.py" + " --device cuda" * (scale.device == "cuda")
    words = f"{QUICK * scale.quick}Command: `{command} --out FILE`\n"
    yield from HEAD.format(environment=environment(scale), command=words).splitlines()


def environment(scale: Scale) -> str:
    """What the figures depend on, in one line."""
    where = processor() if scale.device == "cpu" else torch.cuda.get_device_name()
    clock = "CPU time" if scale.device == "cpu" else "wall time, synchronised"
    threads = torch.get_num_threads()
    peers = ", ".join(f"{name} {installed(name)}" for name in PEERS)
    return (
        f"Environment: {where}; {threads} thread{'s' * (threads > 1)}; {clock}; "
        f"torch {torch.__version__}; {peers}."
    )


def installed(name: str) -> str:
    """The version of a library."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def rows(block: Block, lines: Iterable[Line]) -> Iterator[str]:
    """A table row for each contender."""
    first = f"{block.work} | {block.network}"
    for line in lines:
        if line.reason:
            yield f"| {first} | {line.contender} | – | – | – | {line.reason} |"
            first = " | "
            continue
        ratio = "1" if line.contender == OURS else spread(line.ratios)
        seconds = f"{median(line.seconds):.3g}"
        cells = (first, line.contender, ratio, aim(line), seconds, line.accuracy)
        yield f"| {' | '.join(cells)} |"
        first = " | "


def spread(values: list[float]) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    ends = "one round" if len(values) == 1 else f"{min(values):.2f}-{max(values):.2f}"
    return f"{median(values):.2f} ({ends})"


def aim(line: Line) -> str:
    """What was asked for, and whether it is so."""
    parts = []
    if line.at_least is not None:
        parts.append(f"≥ {line.at_least:.2f}")
    if line.at_most is not None:
        parts.append(f"≤ {line.at_most:.3g} s")
    if not parts:
        return ""
    return f"{', '.join(parts)}: {'met' if line.met else 'missed'}"


def unmeasured(name: str, row: Row) -> str:
    """The line of a row that needs a device that is not there."""
    work = row.__doc__.splitlines()[0].rstrip(".")
    return f"| {work} | – | {OURS} | not measured | – | – | `--device cuda --only {name}` |"


def summary(measured: list[tuple[Block, list[Line]]]) -> Iterator[str]:
    """For the docs: one row for each work and network, others' times in units of ours."""
    yield "| work | network | others' time, ours being 1: median (range) | our answer |"
    yield "| --- | --- | --- | --- |"
    for block, lines in measured:
        others = [
            f"{line.contender} {spread(line.ratios)}{with_error(line)}"
            for line in lines
            if line.ratios and not line.contender.startswith(OURS)
        ]
        (ours,) = (line for line in lines if line.contender == OURS)
        yield f"| {block.work} | {block.network} | {'; '.join(others)} | {ours.accuracy} |"


def with_error(line: Line) -> str:
    """The worth of an answer, in brackets."""
    return f" [{line.accuracy}]" if line.accuracy else ""
