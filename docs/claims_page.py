"""The table and the figure on the page of the claims, from the committed outcome.

    landscape claims --out runs/claims
    cp runs/claims/claims.json benchmarks/results/claims.json
    python docs/claims_page.py

writes them anew; a test says when that is due.
"""

import json
from pathlib import Path

from landscape.claims import wording

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "benchmarks" / "results" / "claims.json"
PAGE = ROOT / "docs" / "concepts" / "claims.md"
PICTURE = ROOT / "docs" / "pictures" / "claims.svg"
MARK = "## Found\n"
RUNS = (
    "| study | methods | seeds | hours of training | of tuning |\n| --- | --- | --- | --- | --- |\n"
)


def text() -> str:
    """The page as it should stand: what is written by hand, then what was found."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    rows = record["claims"]
    return "".join(
        (
            by_hand, MARK, f"\n**{wording.headline(rows)}**\n\n",
            f"![Gain of each claim with its interval](../pictures/{PICTURE.name})\n\n",
            wording.markdown(rows), "\n", studies(record),
        )
    )  # fmt: skip


def studies(record: dict) -> str:
    """Table of the studies: methods, seeds, hours; and the machine."""
    lines = [
        f"| {' | '.join(wording.about_study(*study))} |\n" for study in record["studies"].items()
    ]
    machine = record["environment"]
    named = ", ".join(f"{key} {machine[key]}" for key in sorted(machine) if machine[key])
    return f"{RUNS}{''.join(lines)}\nMachine: {named}.\n"


def main() -> None:
    """Write the page and its figure anew."""
    from landscape.plots import save
    from landscape.plots.claims.forest import forest

    record = json.loads(RECORD.read_text(encoding="utf-8"))
    save(forest(record["claims"]), PICTURE)
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
