"""Train and measure methods x seeds in several processes, and compare what they found.

Imports everything below. Start with `study.py`; `design.py` lists the cells, `pool.py` runs them,
`cell.py` is one of them.
"""
