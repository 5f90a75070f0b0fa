"""Turn a study or an audit into one self-contained page, with its tables beside it.

Needs no torch. Imports `plots`, `records`, `statistics` and the plain parts of `auditing`. Start
with `page.py`; `findings.py` writes the sentences.
"""

from landscape.report.contents import Contents
from landscape.report.page import render
from landscape.report.write import write

__all__ = ["Contents", "render", "write"]
