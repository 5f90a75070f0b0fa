"""Rows of long work, none of which depends on another: kept in a file, shared by processes.

Imports `objective` and the context of records. Start with `shared_rows.py`, which a measure asks;
`resumable_rows.py` is the file.
"""
