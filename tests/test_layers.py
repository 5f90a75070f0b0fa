"""Who may import whom (design, section 6), read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.methods import METHODS

ROOT = Path(__file__).parents[1] / "landscape"
EVERYWHERE = {"files", "names", "progress", "environment", "isolation", "extras"}
TENSORS = {"batch", "weights", "batch_norm", "response", "flatness", "differentiable"}
TENSORS |= {
    "layer_outputs",
    "reentrant",
    "micro_batches",
    "closure",
    "compatibility",
    "side_data",
    "blocks",
    "products",
    "evaluation",
    "folding",
    "precision",
    "reading",
    "splitting",
}
ALLOWED = {
    "linalg": set(),
    "records": set(),
    "weights": set(),
    "objective": TENSORS,
    "walker": TENSORS,
    "methods": {*TENSORS, "walker"},
    "measures": {*TENSORS, "objective", "linalg", "records"},
    "statistics": set(),
    "correlation": set(),
    "robustness": {"records", "statistics"},
    "agreement": {"records"},
    "plots": {"records"},
    "requirements": {"records", "robustness", "statistics"},
    "verdicts": {"records", "requirements", "robustness", "statistics"},
    "report": {"records", "plots", "requirements", "statistics", "verdicts"},
}


def imported(path):
    """Names directly under `landscape` that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts == ["landscape"]:
                found |= {alias.name for alias in node.names}
            elif parts[0] == "landscape":
                found.add(parts[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {n[1] for n in names if n[0] == "landscape" and len(n) > 1}
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_go_down_only(part):
    sources = [ROOT / f"{part}.py"] if (ROOT / f"{part}.py").exists() else ROOT.glob(f"{part}/*.py")
    sources = list(sources)
    assert sources
    for path in sources:
        assert imported(path) <= ALLOWED[part] | EVERYWHERE | {part}, path


def test_no_method_imports_another_method():
    methods = {made.__module__.rpartition(".")[2] for made in METHODS.values()}
    for name in methods:
        tree = ast.parse((ROOT / "methods" / f"{name}.py").read_text())
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        names = {
            a.name
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom) and n.module == "landscape.methods"
            for a in n.names
        }
        others = methods - {name}
        assert not names & others
        assert not {f"landscape.methods.{other}" for other in others} & modules


def test_import_landscape_brings_no_plots_page_or_command_line():
    heavy = "matplotlib plotly jinja2 typer pydantic pyhessian sklearn xarray pandas safetensors"
    code = f"import sys, landscape; print([m for m in {heavy.split()} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_right_of_a_record_nothing_needs_torch():
    code = "import sys, landscape.records; print('torch' in sys.modules)"
    for path in [*ROOT.glob("plots/*.py"), *ROOT.glob("report/*.py"), *ROOT.glob("records/*.py")]:
        assert "import torch" not in path.read_text(), (path, code)
