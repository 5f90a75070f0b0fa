"""The table and the figure on the page of the claims, from the committed outcome.

    landscape claims --out runs/claims
    cp runs/claims/claims.json benchmarks/results/claims.json
    landscape claims --paper sam,msam --study digits --first-seed 100 --out runs/again
    cp runs/again/claims.json benchmarks/results/claims_again.json
    python docs/claims_page.py

writes them anew; a test says when that is due.
"""

import json
from pathlib import Path

from landscape.claims import wording

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "benchmarks" / "results" / "claims.json"
AGAIN = ROOT / "benchmarks" / "results" / "claims_again.json"
PAGE = ROOT / "docs" / "concepts" / "claims.md"
PICTURE = ROOT / "docs" / "pictures" / "claims.svg"
MARK = "## Found\n"


def text() -> str:
    """The page as it should stand: what is written by hand, then what was found."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    rows = record["claims"]
    return "".join(
        (
            by_hand, MARK, f"\n**{wording.headline(rows)}**\n\n",
            f"![Gain of each claim with its interval](../pictures/{PICTURE.name})\n\n",
            wording.markdown(rows), "\n", again(rows), studies(record),
        )
    )  # fmt: skip


def again(rows: list) -> str:
    """Table of the claims that were tested on other seeds as well."""
    others = json.loads(AGAIN.read_text(encoding="utf-8"))["claims"]
    first = {(row["name"], row["study"]): row for row in rows if row["gain"] is not None}
    both = [(first[key], row) for row in others if (key := (row["name"], row["study"])) in first]
    both = [(one, other) for one, other in both if other["gain"] is not None]
    seeds = both[0][1]["seeds"]
    body = [
        (
            f"{one['name']}: {one['says']}, {one['words']}",
            f"{one['amount']} {one['verdict']}",
            f"{other['amount']} {other['verdict']}",
        )
        for one, other in both
    ]
    said = f"On other seeds, {seeds[0]} to {seeds[-1]}, with the same settings:"
    return f"{said}\n\n{wording.as_markdown(('claim', 'first', 'again'), body)}\n"


def studies(record: dict) -> str:
    """Table of the studies: methods, seeds, hours; and the machine."""
    body = [wording.about_study(*study) for study in record["studies"].items()]
    table = wording.as_markdown(wording.STUDY_HEAD, body)
    return f"{table}\nMachine: {wording.machine(record['environment'])}.\n"


def main() -> None:
    """Write the page and its figure anew."""
    from landscape.plots import save
    from landscape.plots.claims.forest import forest

    record = json.loads(RECORD.read_text(encoding="utf-8"))
    save(forest(record["claims"]), PICTURE)
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
