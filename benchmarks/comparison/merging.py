"""A page of results in which the rows that were measured again take the place of their old ones."""

import re
from collections.abc import Iterator

HEADERS = "| work | network | contender |", "| work | network | others' time"
SAME = "|  |  |"  # begins a further row of the same work and network
GROWTH = "## Cost over size"


def merged(old: str, new: str) -> str:
    """The old page with the tables' rows, and the section on cost over size, of the new one."""
    fresh = {header: dict(groups(new, header)) for header in HEADERS}
    page = old
    for header, rows in fresh.items():
        known = dict(groups(page, header))
        before = "\n".join(known.values())
        after = "\n".join((known | rows).values())
        page = page.replace(before, after, 1) if before else page
    if GROWTH in new:
        section = section_of(new)
        page = page.replace(section_of(page), section) if GROWTH in page else f"{page}\n{section}"
    return page


def groups(page: str, header: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Rows of the table under a header, by work and network."""
    lines = page.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(header)]
    key, rows = None, []
    for line in lines[starts[0] + 2 :] if starts else ():
        if not line.startswith("|"):
            break
        if not line.startswith(SAME):
            if key:
                yield key, "\n".join(rows)
            key, rows = tuple(line.split(" | ")[:2]), []
        rows.append(line)
    if key:
        yield key, "\n".join(rows)


def section_of(page: str) -> str:
    """The section on cost over size: its title and what follows, to the end of its table."""
    return re.search(rf"{GROWTH}\n\n(\|.*\n?)+", page)[0]
