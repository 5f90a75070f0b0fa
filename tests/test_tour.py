"""The tour's commands run as they stand on its page; pictures are there, used and small."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.measures import MEASURES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOUR = (DOCS / "tour.md").read_text(encoding="utf-8")
PICTURES = sorted((DOCS / "pictures").rglob("*.png"))
KB = 1000


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TOUR, re.DOTALL | re.MULTILINE)


COMMANDS = "".join(blocks("sh")).replace("\\\n", " ").splitlines()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tour(tmp_path):
    """With two seeds in the place of six: every command ends well and writes what the page says."""
    (tmp_path / "mine.py").write_text(blocks("python")[0], encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = ""
    for command in COMMANDS:
        done = subprocess.run(
            command.replace("--seeds 6", "--seeds 2"),
            shell=True, cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "BROWSER": "true"},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said += done.stdout
    assert "λ max" in said and "The largest eigenvalue of the Hessian is" in said
    for name in ("report.html", "../figures/rise_area.png", "../figures/rise_area.pdf"):
        assert (tmp_path / "study" / name).exists(), name
    drawn = {p.name for p in (tmp_path / "minima" / "model" / "figures").iterdir()}
    assert {"spectrum.png", "rise_area.png", "surface.png", "bowl_scene.html"} <= drawn


def test_the_tour_ends_at_a_model_of_ones_own():
    assert [c.split()[:2] for c in COMMANDS if c.startswith("landscape")] == [
        ["landscape", name]
        for name in ("compare", "view", "plot", "plot", "analyze", "plot", "plot")
    ]
    assert "notebooks/your_own_model.ipynb" in TOUR and TOUR.count("![") >= 2


@pytest.mark.parametrize("folder", ["measures", "methods"])
def test_every_card_has_its_picture(folder):
    cards = {p.stem: p.read_text(encoding="utf-8") for p in (DOCS / folder).glob("*.md")}
    del cards["README"]
    assert set(cards) == {p.stem for p in PICTURES if p.parent.name == folder}
    for name, text in cards.items():
        assert f"](../pictures/{folder}/{name}.png)" in text, name
    assert folder != "measures" or set(cards) == set(MEASURES)


def test_pictures_are_small_and_used():
    text = "".join(p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md"))
    text += "".join(
        (ROOT / f).read_text(encoding="utf-8") for f in ("README.md", "gallery/README.md")
    )
    for picture in PICTURES:
        inside = picture.parent != DOCS / "pictures"
        assert picture.stat().st_size < (40 if inside else 150) * KB, picture
        assert picture.relative_to(DOCS).as_posix() in text, picture
    assert sum(p.stat().st_size for p in PICTURES) < 1700 * KB
