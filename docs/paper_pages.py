"""Sections of published settings on the pages of papers, from the files of settings themselves.

    python docs/paper_pages.py

writes them anew, after a change of such a file; a test says when that is due.
"""

from pathlib import Path

from landscape.tasks import published

PAPERS = Path(__file__).parent / "papers"
MARK = "## Published settings\n"
PREFIXES = {"msam": "understanding-sam"}  # of file names, where they are not the page's name


def section(name: str) -> str:
    """One file of settings: its command, network, radii, what is open, what differs."""
    about = published.read(name)["published"]
    size = f"* Network: {about['parameters']:,} parameters.\n" if "parameters" in about else ""
    radii = "; ".join(f"`{m}` {radius}" for m, radius in published.radii_of(name).items())
    lists = (("Open", about["open"]), ("Differs here", about["differs"]))
    listed = "".join(f"* {title}: {'; '.join(items)}.\n" for title, items in lists if items)
    return (
        f"### {name}\n\n{about['summary']}. From {about['source']}; each value with its source in\n"
        f"[{name}.toml](../../landscape/tasks/published/{name}.toml).\n\n"
        f"```sh\n{published.command(name)}\n```\n\n{size}* Radii in force: {radii}.\n{listed}"
    )


def text(page: Path) -> str:
    """A page as it should stand: what is written by hand, then the sections."""
    prefix = PREFIXES.get(page.stem, page.stem)
    sections = [section(name) for name in published.names() if name.startswith(f"{prefix}-")]
    by_hand = page.read_text(encoding="utf-8").partition(MARK)[0]
    return by_hand + MARK + "\n" + "\n".join(sections)


def pages() -> list[Path]:
    """The pages of papers that have published settings."""
    return sorted(page for page in PAPERS.glob("*.md") if page.name != "README.md")


if __name__ == "__main__":
    for page in pages():
        page.write_text(text(page), encoding="utf-8")
