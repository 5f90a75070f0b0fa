"""The recipes of CONTRIBUTING.md name files and lists that exist, as many as their headings say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", TEXT, re.DOTALL | re.MULTILINE))
NEIGHBOUR = {  # a recipe -> what stands for NAME: something that was added in this way
    "A method": "sam",
    "A measure": "trace",
    "A data set": "digits",
    "A model": "mlp",
    "A plot": "noise",
    "An example": "spectrum",
}


def steps(recipe):
    """(path, text) of each numbered step."""
    listed = recipe.partition("\n\nThen:")[0].partition("\n\nOptional:")[0]
    return re.findall(r"^\d+\. `(\S+?)`(.*?)(?=^\d+\. |\Z)", listed, re.DOTALL | re.MULTILINE)


def test_there_is_a_recipe_for_each_kind():
    assert [title.partition(":")[0] for title in RECIPES] == list(NEIGHBOUR)


@pytest.mark.parametrize("title", RECIPES)
def test_a_heading_counts_the_files(title):
    new, edited = map(int, re.search(r": (\d+) new files?, (\d+) to edit$", title).groups())
    paths = [path for path, _ in steps(RECIPES[title])]
    assert len(set(paths)) == len(paths)
    assert (sum("NAME" in p for p in paths), sum("NAME" not in p for p in paths)) == (new, edited)


@pytest.mark.parametrize("title", RECIPES)
def test_the_files_exist_and_hold_the_lists(title):
    name = NEIGHBOUR[title.partition(":")[0]]
    for path, text in steps(RECIPES[title]):
        file = ROOT / path.replace("NAME", name)
        assert file.is_file(), path
        source = file.read_text(encoding="utf-8", errors="replace")
        for word in re.findall(r"`([A-Z][A-Z_]+|test_[a-z_]+)`", text):
            assert word == "NAME" or re.search(rf"^(def )?{word}\b", source, re.MULTILINE), word


@pytest.mark.parametrize("title", RECIPES)
def test_optional_files_and_the_tests_to_run_exist(title):
    rest = re.split(r"\n(?=Optional:|Then:)", RECIPES[title], maxsplit=1)[1]
    named = re.findall(r"\b(?:tests|landscape)/[\w/.]*\w", rest)
    assert named
    assert all((ROOT / path).exists() for path in named), named
