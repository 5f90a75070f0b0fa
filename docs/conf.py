"""Sphinx: `make docs` builds the site offline, gallery included."""

from importlib.metadata import version as installed

project = "landscape"
author = "the landscape authors"
release = version = installed("landscape")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery/*.md5", "sg_execution_times.rst"]
suppress_warnings = ["config.cache"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "mixed"

html_theme = "furo"
html_title = f"landscape {release}"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_show_sourcelink = False

sphinx_gallery_conf = {
    "examples_dirs": "../gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "ExplicitOrder",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": True,
    "remove_config_comments": True,
    "capture_repr": (),
}
