"""Screenshot of a report's first screen, light, for the tour.

python docs/pictures/first_screen.py STUDY     # playwright drives the chromium that is installed
"""

import shutil
import sys
from pathlib import Path

from make import PICTURES, kept
from playwright.sync_api import sync_playwright

SIZE = {"width": 1200, "height": 790}  # pixels


def main(study):
    """Open the study's report and keep what is seen of it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto((Path(study) / "report.html").resolve().as_uri())
        page.wait_for_load_state("load")
        page.locator("img").first.wait_for()
        target = PICTURES / "first_screen.png"
        page.screenshot(path=target)
        browser.close()
    kept(target, target, (1200, 790), colours=128)


if __name__ == "__main__":
    main(sys.argv[1])
