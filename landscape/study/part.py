"""Part of a study, for arrays of jobs that share nothing but its folder."""

import re
from dataclasses import dataclass

from landscape.study.cell import Cell
from landscape.study.design import Design
from landscape.study.plan import plan_of, write_plan
from landscape.study.pool import Failure, run_all
from landscape.study.tuning import Tuning
from landscape.utils.paths import refuse_links_out
from landscape.utils.processes import check_single_process
from landscape.utils.progress import Listener, silent


@dataclass(frozen=True)
class Part:
    """Part `number` of `count`, from 1: every count-th cell."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read "3/8". Raises ValueError for what is no part."""
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"`part` is K/N with K from 1 to N, as in 3/8. Got {text!r}.")
        return cls(int(match[1]), int(match[2]))

    def of(self, cells: list[Cell]) -> list[Cell]:
        """The cells of this part; each is in one part of the `count`."""
        return cells[self.number - 1 :: self.count]


def run_part(
    design: Design, part: Part, command: str = "", progress: Listener = silent
) -> list[Failure]:
    """Run one part of a study's cells; `report` of the study's folder joins the parts.

    Parts may run at the same time and again: finished cells are kept, and every part writes the
    same study.json. A part beyond the last cell does nothing.

    Raises ValueError for a grid, whose values all parts would have to wait for, and what
    `landscape.compare` raises.
    """
    check_single_process()
    if design.grid:
        raise ValueError(
            "`part` cannot choose from a grid, which takes all trials. Tune first, without part, "
            "and give the values that were chosen as settings."
        )
    refuse_links_out(design.path)
    design.chosen_engine.reach()
    overrides, words = design.overrides({})
    cells = design.cells(overrides)
    whole = re.sub(r" --part[ =]\S+", "", command)
    write_plan(design.path, plan_of(design, Tuning([], {}), words, cells, whole, None))
    return run_all(part.of(cells), design.chosen_engine, progress, design.path)
