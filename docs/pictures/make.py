"""Pictures of the README and the cards, from records of a study; those of the gallery's
index from what `make docs` made.

landscape compare --task digits --seeds 4 --out study     # nine methods, every measure
python docs/pictures/make.py study
python docs/pictures/tour.py FOLDER                       # the tour's, from where its commands ran
"""

import io
import sys
from pathlib import Path

from matplotlib.figure import Figure
from measure_cards import AREAS, pictures_of
from method_paths import PATHS, drawn
from PIL import Image

ROOT = Path(__file__).parents[2]
DRAWN = ROOT / "docs" / "gallery" / "images"  # of the examples, by sphinx-gallery
PICTURES = ROOT / "docs" / "pictures"
CHOSEN = {"path": 2, "spectrum": 2}  # of several figures; else the first


def main(study=None):
    """Make all of them anew: those of the cards with a study, those of the gallery without."""
    if study is None:
        from_the_gallery()
        return
    for name, figure in pictures_of(Path(study)):
        if name == AREAS:
            kept(pixels(figure), PICTURES / f"{name}.png", (1100, 1100))
        else:
            kept(pixels(figure), PICTURES / "measures" / f"{name}.png", (760, 760), colours=96)
    for name in PATHS:
        kept(pixels(drawn(name)), PICTURES / "methods" / f"{name}.png", (560, 560), colours=256)


def from_the_gallery():
    """Copies of the examples' figures."""
    kept(figure("skip_connections"), PICTURES / "skip_connections.png", (1000, 1000))
    for example in sorted((ROOT / "gallery").glob("plot_*.py")):
        name = example.stem.removeprefix("plot_")
        kept(figure(name), PICTURES / "gallery" / f"{name}.png", (480, 330))


def figure(name):
    """The one that stands for an example."""
    return DRAWN / f"sphx_glr_plot_{name}_{CHOSEN.get(name, 1):03}.png"


def pixels(figure: Figure) -> io.BytesIO:
    """A figure as PNG in memory."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200)
    return file


def kept(source, target, size, colours=256):
    """A copy within that many pixels, in a palette of so many colours."""
    target.parent.mkdir(exist_ok=True)
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
        picture.thumbnail(size, Image.Resampling.LANCZOS)
        picture.quantize(colours).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
