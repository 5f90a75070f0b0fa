"""Execute a notebook in place and keep its outputs.

    python gallery/notebooks/execute.py [NOTEBOOK]

Needs nbclient and ipykernel: pip install ".[notebook]".
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def execute(path: Path) -> None:
    """Run all cells with the paths that this program would use, and write the file anew."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": HERE}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which would differ at every run
        for output in cell.get("outputs", ()):
            output.pop("transient", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    execute(Path(sys.argv[1]) if sys.argv[1:] else HERE / "your_own_model.ipynb")
