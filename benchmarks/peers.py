"""Ours beside other libraries: times in interleaved rounds of one process, accuracy beside them.

    pip install -e '.[peers]'
    python benchmarks/peers.py [--device cuda] [--quick] [--only ROW ...] [--out FILE]

Every row of the table, then cost over size; `--only` with a wrong name lists all. `--quick` tries
the code on small sizes, rows for a GPU included: its figures mean nothing. With `--out` the picture
of cost over size and the summary in docs/concepts/compared.md are renewed too, unless `--quick` is
given; with `--only` the chosen rows alone, and the others of FILE stay.
"""

import argparse
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from comparison import CARDS, GROWTH, ROWS, growth, page
from comparison.merging import merged
from comparison.rounds import Scale, measure

DOCS = Path(__file__).parents[1] / "docs"
COMPARED, PICTURE = DOCS / "concepts" / "compared.md", DOCS / "pictures" / "cost_over_size.svg"
MARKS = "<!-- renewed by benchmarks/peers.py -->", "<!-- until here -->"


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    torch.set_num_threads(1)
    if args.device == "cuda":  # for all alike: ours computes in ieee, torch's default is TF32
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cudnn.rnn.fp32_precision = "ieee"
    warnings.simplefilter("ignore")
    started, lines = time.perf_counter(), []
    for line in written(args):
        print(line, flush=True)
        lines.append(line)
    lines += ["", f"The run took {(time.perf_counter() - started) / 60:.0f} minutes.", ""]
    if args.out:
        text = "\n".join(lines)
        if args.only and args.out.exists():
            text = merged(args.out.read_text(), text)
        args.out.write_text(text)
        if args.device == "cpu" and not args.quick and MARKS[0] in text:
            renew(COMPARED, text)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="Try the code on small sizes.")
    names = [*ROWS, *CARDS, GROWTH]
    parser.add_argument("--only", nargs="+", choices=names, metavar="ROW", help=", ".join(names))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a CUDA GPU. Found none.")
    return args


def written(args: argparse.Namespace) -> Iterator[str]:
    """The page, line by line, as rows are measured."""
    scale = Scale(args.device, args.quick)
    chosen = args.only or [*ROWS, *CARDS, GROWTH]
    yield from page.head(scale)
    measured = []
    for name in chosen:
        if name in CARDS and scale.device == "cpu" and not scale.quick:
            yield page.unmeasured(name, CARDS[name])
            continue
        for block in (ROWS | CARDS).get(name, lambda _: ())(scale):
            measured.append((block, measure(block, scale)))
            yield from page.rows(*measured[-1])
    if measured:
        yield from ("", "## In short", "", MARKS[0], "", page.environment(scale), "")
        yield from page.summary(measured)
        yield from ("", MARKS[1])
    if GROWTH in chosen:
        grown = list(growth.lines(scale))
        yield from ("", "## Cost over size", "", growth.HEAD, *growth.rows(grown))
        if args.out and not args.quick:
            growth.draw(grown, PICTURE)


def between_marks(text: str) -> str:
    """The summary in a page, with its marks."""
    first, last = map(re.escape, MARKS)
    return re.search(f"{first}.*?{last}", text, re.DOTALL)[0]


def renew(path: Path, text: str) -> None:
    """Replace the summary in a page of the docs by that of a results file."""
    page = path.read_text()
    path.write_text(page.replace(between_marks(page), between_marks(text)))


if __name__ == "__main__":
    main()
