"""Links of README, docs and gallery lead to a file, and to a heading where they name one.

Addresses in the web are not fetched.
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = {"_build", "gallery"}  # folders of docs that sphinx makes
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")),
    *(ROOT / folder / "README.md" for folder in ("gallery", "landscape")),
    *(p for p in (ROOT / "docs").rglob("*.md") if not BUILT & set(p.relative_to(ROOT).parts[1:-1])),
    *(ROOT / "gallery" / "notebooks").glob("*.ipynb"),
]
FENCES = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|a) [^>]*(?:src|href)=\"([^\"]+)\"")


def text_of(page: Path) -> str:
    """Markdown of a page or of a notebook's cells, without blocks of code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
        text = "\n\n".join("".join(source) for source in cells)
    return FENCES.sub("", text)


def anchors(text: str) -> set[str]:
    """Names of the headings, as GitHub and the site make them: repeated ones get a number."""
    names: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        again = (slug, *(f"{slug}-{i}" for i in range(1, 100)))
        names.add(next(name for name in again if name not in names))
    return names


def broken(page: Path, text: str) -> list[str]:
    """Links of a page's text that lead nowhere in the repository."""
    wrong = []
    for link in ("".join(pair) for pair in LINK.findall(text)):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        exists = target.exists() and target.relative_to(ROOT).parts[:2] != ("docs", "gallery")
        if not exists or (anchor and anchor not in anchors(text_of(target))):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page, text_of(page)) == []


@pytest.mark.parametrize(
    "link",
    [
        *("[x](nowhere.md)", "[x](#no-such-heading)", "[x](methods/sam.md#no-such-heading)"),
        *(
            "![x](pictures/none.png)",
            '<img src="pictures/none.png" alt="">',
            "[x](gallery/index.md)",
        ),
    ],
)
def test_a_planted_link_to_nowhere_is_seen(link):
    page = ROOT / "docs" / "index.md"
    assert len(broken(page, f"# A title\n\n{link}")) == 1


def test_a_heading_of_another_page_and_of_the_page_itself():
    page = ROOT / "docs" / "index.md"
    text = "# A title\n\n[x](methods/README.md#the-pictures) [x](https://example.org/none#x)"
    assert broken(page, text) == []
    headings = "## λ max, *and* `k`\n\n## Again\n\n## Again"
    assert anchors(headings) == {"λ-max-and-k", "again", "again-1"}
