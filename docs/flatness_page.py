"""The tables and figures on the page of flatness and generalisation, from the committed study.

    landscape correlate --task digits --out grid
    cp grid/correlate.json benchmarks/results/correlate-digits.json
    cp grid/networks.csv benchmarks/results/correlate-digits.csv
    python docs/flatness_page.py

writes them anew, likewise for the other tasks that have a grid; a test says when that is due.
"""

import json
from pathlib import Path

from landscape.correlation.sentences import markdown, sentences
from landscape.plots.drawing.prepare import plural
from landscape.statistics.grid_answers import GridAnswers
from landscape.statistics.network_table import quantity, read_networks

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "concepts" / "does-flatness-predict.md"
TASKS = sorted(path.stem for path in (ROOT / "landscape/correlation/grids").glob("*.toml"))
PICTURES = ROOT / "docs" / "pictures" / "correlate"
MARK = "## Found\n"


def text() -> str:
    """The page as it should stand: what is written by hand, then what was found."""
    by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "".join((by_hand, MARK, *map(section, TASKS)))


def section(task: str) -> str:
    """What the study of a task found; that it was not measured where there is no record."""
    record = RESULTS / f"correlate-{task}.json"
    if not record.is_file():
        return f"\n### {task}\n\nNot measured: `landscape correlate --task {task}`.\n"
    answers = GridAnswers.from_dict(json.loads(record.read_text(encoding="utf-8")))
    said = "\n".join(f"* {line}" for line in sentences(answers))
    target = quantity(answers.targets[0]).label
    words = {
        "matrix": f"Rank correlation of each measure with the {target} by axis",
        "forest": f"Mean rank correlation of each measure with the {target}, and its interval",
        "networks": f"The networks: {target} against four measures, coloured by batch size",
    }
    pictures = "\n\n".join(
        f"![{text}](../pictures/correlate/{task}-{name}.svg)" for name, text in words.items()
    )
    tables = "\n\n".join(
        f"**{quantity(target).label.capitalize()}**\n\n{markdown(answers, target)}"
        for target in answers.targets
    )
    return f"\n### {task}\n\n{said}\n\n{pictures}\n\n{tables}\n\n{about(answers)}\n"


def about(answers: GridAnswers) -> str:
    """Settings, seeds, hours and machine, and who was left out."""
    study = answers.about
    axes = "; ".join(
        f"{path} {', '.join(map(str, values))}" for path, values in study["grid"]["axes"].items()
    )
    versions = ", ".join(f"{k} {v}" for k, v in study["environment"].items() if v)
    out = [f"* {who}: {why}" for who, why in answers.left_out.items()]
    listed = "\n\nLeft out:\n\n" + "\n".join(out) if out else ""
    return (
        f"Grid: {axes}. Seeds: {', '.join(map(str, study['seeds']))}. "
        f"{study['hours']:.2f} hours of a shared machine ({study['machine']}), "
        f"{plural(study['workers'], 'network')} at once; {versions}.{listed}"
    )


def main() -> None:
    """Write the page and its figures anew."""
    from landscape.plots import save
    from landscape.plots.correlation.forest import forest
    from landscape.plots.correlation.matrix import matrix
    from landscape.plots.correlation.networks import networks

    PICTURES.mkdir(exist_ok=True)
    for task in TASKS:
        record = RESULTS / f"correlate-{task}.json"
        if record.is_file():
            answers = GridAnswers.from_dict(json.loads(record.read_text(encoding="utf-8")))
            save(matrix(answers), PICTURES / f"{task}-matrix.svg")
            save(forest(answers), PICTURES / f"{task}-forest.svg")
            table = read_networks(record.with_suffix(".csv"))
            save(networks(table, "batch size"), PICTURES / f"{task}-networks.svg")
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
