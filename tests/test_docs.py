"""The methods' cards say what the code does: settings, defaults, commands, snippets, nesting."""

import ast
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import typer

from landscape.methods import METHODS, NEWER, PAPERS, make, options
from landscape.training.passes import passes_per_step
from landscape.training.settings import TrainingSettings
from landscape.training.train import settings_for
from landscape_cli import settings
from landscape_cli.main import app
from landscape_cli.options import names

FOLDER = Path(__file__).parents[1] / "docs" / "methods"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
INDEX = PAGES["README"]
CARDS = {name: text for name, text in PAGES.items() if name != "README"}
CARD_OF = {name: "sgd-adamw" if name in ("sgd", "adamw") else name for name in METHODS}
PARTS = [
    *("Equations", "Cost", "Settings", "Differs from the authors' code", "Not known", "When"),
    *("Use", "Paper"),
]


def blocks(language, pages):
    """(page, content) of each fenced block."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(page, block) for page, text in pages.items() for block in fence.findall(text)]


def rows(text, heading):
    """Cells of each row of the table under a heading or column title, by the name in the first."""
    table = text.partition(heading)[2].partition("\n\n| ")[2].partition("\n\n")[0]
    split = (
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()
    )
    return {cells[0].strip("`"): cells[1:] for cells in split if cells[0].startswith("`")}


COMMANDS = [line for _, block in blocks("sh", PAGES) for line in block.splitlines()]
COMMANDS += [code for text in PAGES.values() for code in re.findall(r"`(landscape .*?)`", text)]
SNIPPETS = blocks("python", PAGES)
PAIRS = rows(INDEX, "## Nesting")
REASONS = dict(re.findall(r'^\* \*\*([A-Z])\*\* "(.*?)"', INDEX, re.MULTILINE))


def test_every_method_has_a_card_and_every_card_a_method():
    assert set(CARD_OF.values()) == set(CARDS)


@pytest.mark.parametrize("card", CARDS)
def test_a_card_has_all_its_parts(card):
    headings = re.findall(r"^## (.*)$", CARDS[card], re.MULTILINE)
    assert [h for h in headings if h != "Results of the paper"] == PARTS
    assert {part for part, _ in blocks("python", {card: CARDS[card]})} == {card}
    task = "digits-cnn" if card == "sam-on" else "digits"  # which has a normalisation
    assert f"landscape train --task {task} --method {card.partition('-adamw')[0]} " in CARDS[card]


@pytest.mark.parametrize("method", METHODS)
def test_settings_and_defaults_are_those_of_the_code(method):
    told = rows(CARDS[CARD_OF[method]], "## Settings")
    if not options(method):
        defaults = {f"training.{f.name}": f.default for f in fields(TrainingSettings)}
        assert all(re.match(rf"{defaults[name]}\b", row[0]) for name, row in told.items())
        return
    found = {name: ast.literal_eval(row[0].strip("`")) for name, row in told.items()}
    assert found == {f.name: f.default for f in fields(METHODS[method]) if f.name in told}
    assert list(found) == options(method)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line, tmp_path, monkeypatch):
    """Up to where they would start to work."""
    monkeypatch.chdir(tmp_path)
    program, name, *arguments = shlex.split(line)
    assert program == "landscape"
    given = typer.main.get_command(app).commands[name].make_context(name, arguments).params
    if name == "list":
        return
    chosen = [given["method"]] if name == "train" else names(given["methods"])
    tree = settings.read(None, given["set_"], chosen, label_noise=given["label_noise"])
    for path, values in settings.grid(given.get("grid") or [], chosen).items():
        assert values, path
    for method in chosen:
        settings_for(given["task"], method, 0, tree)


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS)
def test_snippets_run(page, snippet, small_net, batches):
    """And train, with the method of the card."""
    model = small_net()
    model.insert(1, torch.nn.LayerNorm(5).double())
    before = [p.detach().clone() for p in model.parameters()]
    pairs = [(batch.x, batch.y) for batch in batches(3)]
    given = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loss": lambda model, batch: F.cross_entropy(model(batch.x), batch.y),
        "loader": pairs,
        "held_out": pairs[:1],
    }
    exec(compile(snippet, f"{page}.md", "exec"), given)
    assert given["value"].isfinite()
    moved = zip(before, model.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in moved)
    assert type(given["stepper"].method) in {METHODS[m] for m, c in CARD_OF.items() if c == page}


def test_the_index_lists_every_method_with_its_passes():
    """The first nine are what `all` means, the last five `newer`."""
    listed = rows(INDEX, "# Methods")
    assert list(listed) == list(METHODS)
    assert tuple(METHODS)[:9] == PAPERS
    assert tuple(METHODS)[-5:] == NEWER
    assert "`--methods all` means the first nine, `newer` the last five" in INDEX
    for method, (card, _, passes) in listed.items():
        assert card == f"[{CARD_OF[method]}]({CARD_OF[method]}.md)"
        assert float(passes) == passes_per_step(method)


@pytest.mark.parametrize("outside", METHODS)
def test_the_table_of_pairs(outside):
    for inside, cell in zip(METHODS, PAIRS[outside], strict=True):
        name = f"{outside}+{inside}"
        if cell[0].isdigit():
            assert float(cell) == passes_per_step(name), name
        else:
            with pytest.raises(ValueError, match=r"over|nest") as caught:
                make(name)
            assert REASONS[cell] in str(caught.value), name


def test_the_table_of_pairs_has_every_method_once_and_every_reason():
    header = INDEX.partition("outside \\ inside | ")[2].partition("\n")[0]
    assert re.findall(r"`(.*?)`", header) == list(PAIRS) == list(METHODS)
    assert set(REASONS) == {c for row in PAIRS.values() for c in row if not c[0].isdigit()}


def test_the_nestings_that_are_named_work():
    names = re.findall(r"`([a-z-]+(?:\+[a-z-]+)+)`", "".join(PAGES.values()))
    assert names
    for name in names:
        make(name)
