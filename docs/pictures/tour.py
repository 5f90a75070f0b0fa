"""Pictures of the tour, from the folder in which its commands ran.

python docs/pictures/tour.py FOLDER     # playwright drives the chromium that is installed
"""

import shutil
import sys
from pathlib import Path

from make import PICTURES, kept
from playwright.sync_api import sync_playwright

SIZE = {"width": 1200, "height": 790}  # pixels


def main(folder):
    """The first screen of the report, light, and the figure of the reader's own model."""
    first_screen(folder / "study" / "report.html", PICTURES / "first_screen.png")
    own = folder / "minima" / "model" / "figures" / "rise_area.png"
    kept(own, PICTURES / "own_model.png", (520, 520))


def first_screen(report, target):
    """Open a report and keep what is seen of it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.locator("img").first.wait_for()
        page.screenshot(path=target)
        browser.close()
    kept(target, target, tuple(SIZE.values()), colours=128)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
