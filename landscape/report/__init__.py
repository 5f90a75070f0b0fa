"""A study to one self-contained page, with its figures and tables beside it. Needs no torch."""

from landscape.report.contents import Contents
from landscape.report.page import render
from landscape.report.write import write

__all__ = ["Contents", "render", "write"]
