"""Pictures of the README and the gallery's index, from what `make demo` and `make docs` made.

python docs/pictures/make.py
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
DRAWN = ROOT / "docs" / "gallery" / "images"  # of the examples, by sphinx-gallery
PICTURES = ROOT / "docs" / "pictures"
CHOSEN = {"path": 2, "spectrum": 2}  # of several figures; else the first


def main():
    """Make all of them anew."""
    kept(ROOT / "demo" / "figures" / "surface.png", PICTURES / "surfaces.png", (1100, 1100))
    kept(figure("skip_connections"), PICTURES / "skip_connections.png", (1000, 1000))
    for example in sorted((ROOT / "gallery").glob("plot_*.py")):
        name = example.stem.removeprefix("plot_")
        kept(figure(name), PICTURES / "gallery" / f"{name}.png", (480, 330))


def figure(name):
    """The one that stands for an example."""
    return DRAWN / f"sphx_glr_plot_{name}_{CHOSEN.get(name, 1):03}.png"


def kept(source, target, size):
    """A copy within that many pixels, in a palette of 256 colours."""
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
        picture.thumbnail(size, Image.Resampling.LANCZOS)
        picture.quantize(256).save(target, optimize=True)


if __name__ == "__main__":
    main()
