"""Sphinx: `make docs` builds the site offline, gallery included."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside it

from page_links import to_their_pages

project = "landscape"
author = "the landscape authors"
release = version = installed("landscape")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "plain_docstrings",
]
myst_enable_extensions = ["deflist"]  # formulas are Unicode: the site needs no network
myst_heading_anchors = 3
myst_links_external_new_tab = False
exclude_patterns = ["_build", "gallery/*.md5", "sg_execution_times.rst"]
suppress_warnings = ["config.cache"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "landscape"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_show_sourcelink = False
html_show_copyright = False
html_show_search_summary = False  # a page opened as a file may not fetch the others
smartquotes = False  # "sam" is a value

sphinx_gallery_conf = {
    "examples_dirs": "../gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "example_pages.order",
    "image_scrapers": ("example_pages", "matplotlib"),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "capture_repr": (),
    "reset_modules": ("matplotlib",),
}


def setup(app):
    """Sphinx calls it."""
    app.connect("source-read", to_their_pages)
