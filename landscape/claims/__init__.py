"""Claims of the papers, tested: studies to run, what each claim compares, and its verdict.

Studies are files of `landscape compare` in `studies/`; `claims.toml` says what each claim compares.
Imports `study`. Start with `claim.py`, then `run.py`.
"""
