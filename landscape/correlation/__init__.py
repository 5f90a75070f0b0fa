"""Does flatness predict generalisation? Networks of a grid of settings, stopped at one loss.

Imports everything below it. Start with `study.py`, which trains, measures and answers; `grid.py`
reads the grids beside it (`grids/*.toml`), `table.py` collects the numbers of each network, and
`forgetting.py` those of one that learned a sequence of tasks.
"""
