"""Numbered rows of long work, none of which depends on another: computed here and kept in a file,
or a share of them for one of several processes.

A measure says how many rows it wants, in a unit of its own (`splits_into`), and how some of them
are computed; it asks again where those tell that it takes more. Who computes them, and whether they
were known, makes no difference to its numbers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.distributed.ranks import Alone
from landscape.measures.context import Progress, fingerprint
from landscape.measures.rows.resumable_rows import KeptRows
from landscape.objective.objective import Objective
from landscape.records import Array

Evaluate = Callable[[Sequence[int]], Iterator[Array]]  # numbers of rows -> the rows, in order


@dataclass(frozen=True)
class Share:
    """Rows that one of several processes computes; given to a measure as `keep`.

    path: of the file for them. rows: their numbers; None, at the head: the first that is missing,
    or the record where none is. ways: how rows are computed where there is a choice, the same in
    all processes; () leaves it to the first. ordered: rows that others were to compute.
    """

    path: Path
    rows: Sequence[int] | None = None
    ways: Sequence[str] = ()
    ordered: Sequence[int] = ()


Keep = Path | str | Share | None


class ShareDone(Exception):
    """Raised in place of a record: the rows of a share are kept.

    missing: rows that are not in the file. seconds: of one row. ways: see `Share`.
    """

    def __init__(self, missing: Sequence[int], seconds: float, ways: Sequence[str]):
        super().__init__(f"{len(missing)} rows are missing")
        self.missing, self.seconds, self.ways = missing, seconds, ways


def ways_of(keep: Keep) -> Sequence[str]:
    """The ways that the process before has chosen; () where this one is to choose."""
    return keep.ways if isinstance(keep, Share) else ()


class Rows:
    """Rows of numbers by index, each computed once.

    keep: a file for finished rows, until `delete`; or a share, whose rows alone are computed.
    question: all that decides the numbers; asked for where rows are kept. ways: as `Share` has
    them. progress: counts rows, of `most` at the end, by default of those that were asked for.
    """

    def __init__(
        self,
        keep: Keep,
        question: Callable[[], Any],
        *,
        ways: Sequence[str] = (),
        ranks: Alone,
        progress: Progress | None = None,
        most: int | None = None,
    ):
        self.share = keep if isinstance(keep, Share) else None
        path = keep.path if isinstance(keep, Share) else keep
        asked = question() if path is not None else None
        self._kept = KeptRows(path if ranks.index == 0 else None, asked)  # one writer
        self.ways, self.ranks, self.progress, self.most = ways, ranks, progress, most
        self._rows: list[Array] = []

    def __call__(self, count: int, evaluate: Evaluate) -> Sequence[Array]:
        """The first `count` rows.

        Raises ShareDone in place of an answer where a share is asked for, and ValueError where rows
        are missing that others were to compute.
        """
        first = len(self._rows)
        rows = self.ranks.first([self._kept.get(i) for i in range(first, count)])
        missing = [i for i, row in enumerate(rows, first) if row is None]
        if self.share is not None:
            self._compute_share(self.share, missing, count, evaluate)
        computed = evaluate(missing)
        for i, row in enumerate(rows, first):
            if row is None:
                row = next(computed)
                self._kept.add(i, row)
            self._rows.append(row)
            self._tell(i + 1, self.most or count)
        return self._rows

    def delete(self) -> None:
        """Remove the file: the whole is finished, and kept elsewhere."""
        self._kept.delete()

    def _compute_share(
        self, share: Share, missing: Sequence[int], count: int, evaluate: Evaluate
    ) -> None:
        """Keep the rows of a share and raise ShareDone; pass where the head misses none."""
        if lost := [i for i in share.ordered if self._kept.get(i) is None]:
            raise ValueError(
                f"{len(lost)} of {count} rows are missing, or answer another question: the "
                "workers need the device and the libraries of this process."
            )
        if share.rows is None and not missing:
            return
        rows = missing[:1] if share.rows is None else share.rows
        wanted = [i for i in rows if self._kept.get(i) is None]
        started = time.perf_counter()
        for done, (i, row) in enumerate(zip(wanted, evaluate(wanted), strict=True), 1):
            self._kept.add(i, row)
            self._tell(done, len(wanted))
        seconds = (time.perf_counter() - started) / max(1, len(wanted))
        raise ShareDone(missing[1:], seconds, self.ways)

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)


def identity(objective: Objective) -> list[str]:
    """Key of all that decides an objective's numbers; its loss stands for loss function and
    buffers.
    """
    return [
        fingerprint(objective.risk.w),
        objective.fingerprint,
        objective.batch_norm,
        str(objective.device),
        objective.summary.loss.hex(),
    ]
