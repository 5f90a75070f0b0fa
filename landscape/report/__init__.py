"""Turn a study into one self-contained page, with its tables beside it.

Needs no torch. Imports `plots`, `records` and `statistics`. Start with `page.py`;
`findings.py` writes the sentences. The page of an audit is in `auditing`.
"""

from landscape.report.contents import Contents
from landscape.report.page import render
from landscape.report.write import write

__all__ = ["Contents", "render", "write"]
