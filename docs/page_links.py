"""Links of the pages, adapted for the site, which lacks the other folders."""

import re
from os.path import normpath
from pathlib import Path


def to_their_pages(app, name, source):
    """Adapt the links of a page for the site: those to gallery/*.py and its README lead to the
    pages that are made from them; other files outside docs, which the site lacks, such as tables
    of benchmarks and published settings, become names of files.
    """
    source[0] = re.sub(
        r"\]\((?:\.\./)+gallery/(\w+)\.(?:py|md)\)",
        lambda link: f"](/gallery/{link[1].replace('README', 'index')}.rst)",
        source[0],
    )
    source[0] = re.sub(
        r"\[([^]]*)\]\((\.\./[^)\s]*)\)",
        lambda link: _file_name(Path(name).parent, *link.groups()) or link[0],
        source[0],
    )


def _file_name(folder, words, link):
    """Words and the name of the file that a link in a folder of docs leads to; nothing for a file
    of docs.
    """
    up, _, file = normpath(folder / link).partition("/")
    return f"{words}: `{file}`" if up == ".." else None
