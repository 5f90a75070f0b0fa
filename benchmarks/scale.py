"""A study on 1,000 cards, simulated with costs that are measured here.

    python benchmarks/scale.py [--out benchmarks/results/scale.md] [--cards 1000]

Measured: CPU time of the head's process for each item that does nothing (Dask's scheduler and
client run in it), files and bytes of a finished cell, the seconds that opening one takes.
Simulated: cells of one length on so many cards with failures in exponential times; a failed cell
goes on from its last checkpoint on the same card, ten cells to a card on the average.
"""

import argparse
import heapq
import itertools
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

import landscape as ls
from landscape.engines import make
from landscape.utils.progress import silent

ITEMS, ROUNDS = 300, 5  # that do nothing, in each of several rounds
CHECKPOINT, RESTART = 600.0, 60.0  # seconds between checkpoints; until a lost worker is replaced
LENGTHS = {"10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "6 h": 21600}
# Days between two failures of one card. 2,114: 419 unexpected interruptions of 16,384 cards in 54
# days (The Llama 3 Herd of Models, arXiv 2407.21783, table 5); 100 and 10 for machines of less care
# and for partitions that preempt.
DAYS = (2114, 100, 10)
CELLS = 10  # of each card


@dataclass(frozen=True)
class Nothing:
    """An item that does nothing."""

    label: str
    device: str = "cpu"

    def run(self, progress):
        return None


@dataclass(frozen=True)
class Costs:
    """Seconds of the head for each cell, and of a worker to open and close one."""

    head: float
    opening: float


def head_seconds():
    """CPU seconds of this process for each item of a Dask engine with two workers, by round; those
    of starting and stopping, which a call without work takes, are subtracted.
    """
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        engine = make("dask", at=cluster.scheduler_address)

        def spent(count):
            items = [Nothing(str(i)) for i in range(count)]
            started = time.process_time()
            assert len(list(engine.run(items, silent))) == count
            return time.process_time() - started

        spent(2)
        return [(spent(ITEMS + 2) - spent(2)) / ITEMS for _ in range(ROUNDS)]


def cell_costs(folder):
    """Files, bytes and CPU seconds of a cell that hardly trains: one epoch, one small measure."""
    call = {
        "settings": {"training": {"epochs": 1, "device": "cpu"}}, "workers": 1,
        "measures": ["noise", "eigenvalues", "trace"],
        "options": {"noise": {"draws": 2}, "eigenvalues": {"k": 1}},
    }  # fmt: skip
    study = ls.compare("digits", ["sgd"], 3, folder, **call)
    files = [p for run in study.runs.values() for p in run.path.rglob("*") if p.is_file()]
    count, size = len(files) / len(study.runs), sum(p.stat().st_size for p in files)
    again = time.process_time()
    ls.compare("digits", ["sgd"], 3, folder, **call)  # opens every cell, writes the report
    return count, size / len(study.runs), (time.process_time() - again) / len(study.runs)


def simulated(cards, length, days, costs, seed=0):
    """Efficiency and failures of a study: useful time over the time of all cards until the end.

    The head hands out cells one after the other; a card waits for it.
    """
    draw = random.Random(seed)
    free = [(0.0, card) for card in range(cards)]
    heapq.heapify(free)
    head = end = 0.0
    failures, rate = 0, 1 / (days * 86400)
    for _ in range(cards * CELLS):
        now, card = heapq.heappop(free)
        head = max(head, now) + costs.head
        done, left = head + costs.opening, length
        while (until := draw.expovariate(rate)) < left:
            failures += 1
            left -= until - until % CHECKPOINT
            done += until + RESTART
        done += left
        end = max(end, done)
        heapq.heappush(free, (done, card))
    return cards * CELLS * length / (cards * end), failures, end


def rows(cards, costs):
    """Table of efficiency and failures over cell length and days between failures."""
    for (name, length), days in itertools.product(LENGTHS.items(), DAYS):
        efficiency, failures, end = simulated(cards, length, days, costs)
        per_day = failures / (end / 86400)
        yield f"| {name} | {days:,} | {efficiency:.1%} | {per_day:.1f} | {end / 3600:.2f} h |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    heads = head_seconds()
    with tempfile.TemporaryDirectory() as folder:
        files, size, opening = cell_costs(Path(folder) / "study")
    costs = Costs(statistics.median(heads), opening)
    text = "\n".join(
        [page(args.cards, heads, costs, files, size), *rows(args.cards, costs), "", ""]
    )
    print(text)
    if args.out:
        args.out.write_text(text.rstrip() + "\n")


def page(cards, heads, costs, files, size):
    """Measured costs, and the head of the table."""
    cells = cards * CELLS
    return f"""# A study on {cards:,} cards

Command: `python benchmarks/scale.py`. Measured on two cores of a shared machine, CPU time:

| quantity | value |
| --- | --- |
| head, for each cell (Dask's scheduler and client): median, least, most of {ROUNDS} | {
        costs.head * 1e3:.1f} ms, {min(heads) * 1e3:.1f} ms, {max(heads) * 1e3:.1f} ms |
| shortest cell with which the head feeds {cards:,} cards | {cards * costs.head:.1f} s |
| opening and closing a finished cell, with its part of the report | {costs.opening:.2f} s |
| files of a cell | {files:.0f}, of {size / 1e3:.0f} kB together |
| files of {cells:,} cells | {cells * files:,.0f} |

Simulated: {cells:,} cells of one length, {CELLS} to a card; a checkpoint every {
        CHECKPOINT / 60:.0f} minutes, {RESTART:.0f} s
until a lost worker is replaced. *Efficiency*: useful time over the time of all cards until the last
cell has ended.

| cell | days between failures of a card | efficiency | failures a day | the whole |
| --- | --- | --- | --- | --- |"""


if __name__ == "__main__":
    main()
