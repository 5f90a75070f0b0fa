"""Who may import whom: one list of rooms for the whole package, read from the source."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from landscape.methods import METHODS

ROOT = Path(__file__).parents[1]
# Every room, from the ground up, with the rooms whose modules it may import. A room may import
# only what stands above it in this list, so the list itself admits no circle.
ROOMS: dict[str, set[str]] = {
    "utils": set(),
    "distributed": {"utils"},
    "linalg": set(),
    "records": {"utils"},
    "statistics": {"utils", "records"},
    "network": {"utils"},
    "objective": {"utils", "distributed", "network"},
    "methods.walker": {"utils", "network"},
    "methods.components": {"utils", "network", "methods.walker"},
    "methods": {"utils", "network", "methods.walker", "methods.components"},
    "optim": {"utils", "network", "methods", "methods.walker"},
    "measures.context": {"utils", "records", "objective"},
    "measures.rows": {"utils", "distributed", "records", "objective", "measures.context"},
    "measures.curvature": {
        *("utils", "distributed", "linalg", "records", "network", "objective", "measures.context"),
        "measures.rows",
    },
    "measures.flatness": {
        *("utils", "network", "objective", "measures.context", "measures.curvature"),
    },
    "measures.outputs": {
        *("utils", "records", "network", "objective", "measures.context", "measures.curvature"),
    },
    "measures.space": {
        "utils",
        "distributed",
        "linalg",
        "records",
        "network",
        "objective",
        "measures.context",
        "measures.rows",
    },
    "measures.connection": {"utils", "network", "objective", "measures.space"},
    "measures": {
        *("utils", "distributed", "linalg", "records", "network", "objective", "measures.context"),
        *("measures.connection", "measures.curvature", "measures.flatness", "measures.outputs"),
        *("measures.rows", "measures.space"),
    },
    "engines": {"utils"},
    "models": {"utils", "network"},
    "data": {"utils", "network"},
    "lifelong": {"utils", "network", "data"},
    "tasks": {"utils", "network", "methods", "models", "data"},
    "training": {
        *("utils", "records", "network", "objective", "methods", "methods.walker", "measures"),
        *("distributed", "data", "tasks", "lifelong"),
    },
    "analysis": {
        *("utils", "distributed", "records", "statistics", "network", "objective", "measures"),
        *("measures.rows", "measures.context", "data", "tasks", "training", "engines"),
    },
    "plots.drawing": {"utils", "records", "statistics"},
    "plots.correlation": {"utils", "statistics", "plots.drawing"},
    "plots.claims": {"utils", "records", "statistics", "plots.drawing"},
    "plots": {"utils", "records", "statistics", "plots.drawing"},
    "report": {"utils", "records", "statistics", "plots", "plots.drawing"},
    "auditing": {
        *("utils", "records", "statistics", "objective", "measures", "training", "analysis"),
        *("plots", "plots.drawing", "report"),
    },
    "study": {
        *(
            "utils",
            "engines",
            "records",
            "statistics",
            "network",
            "objective",
            "measures",
            "methods",
        ),
        *("methods", "data", "tasks", "training", "analysis", "auditing", "plots"),
        *("plots.drawing", "report", "measures.context"),
    },
    "claims": {
        *("utils", "records", "statistics", "measures", "training", "study", "plots"),
        *("plots.claims", "report"),
    },
    "correlation": {
        *("utils", "engines", "records", "statistics", "network", "training", "tasks", "analysis"),
        *("plots", "plots.correlation", "report", "study"),
    },
    "description": {
        *("utils", "records", "methods", "tasks", "training", "analysis", "auditing", "study"),
    },
}
FLAT = {"__init__", "description", "optim"}  # modules beside the rooms
MODULES = {"description", "optim", "measures.context"}  # entries that are one module
MOST_MODULES = 20  # in one folder


@cache
def modules() -> dict[str, Path]:
    """Dotted name below the package -> file; "cli" stands for the command line."""
    found = {}
    for path in sorted((ROOT / "landscape").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "landscape").with_suffix("").parts)
        found[name] = path
    return found


def room_of(name: str) -> str:
    """The room of a dotted name: the longest that it begins with; "" for the package itself."""
    parts = name.removesuffix(".__init__").split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in ROOMS:
            return ".".join(parts[:length])
    return ""


def imported(source: str, known: set[str]) -> set[str]:
    """The modules of the package that a source imports, inside functions and for types too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] == "landscape":
                base = node.module.removeprefix("landscape").removeprefix(".")
                names |= {f"{base}.{alias.name}".removeprefix(".") for alias in node.names}
        elif isinstance(node, ast.Import):
            dotted = [alias.name.split(".") for alias in node.names]
            names |= {".".join(parts[1:]) for parts in dotted if parts[0] == "landscape"}
    resolved = set()
    for name in names:
        while name and name not in known and f"{name}.__init__" not in known:
            name = name.rpartition(".")[0]
        if name:
            resolved.add(name if name in known else f"{name}.__init__")
    return resolved


def forbidden(name: str, source: str, known: set[str]) -> list[str]:
    """The imports of a module that its room does not allow."""
    room = room_of(name)
    allowed = ROOMS[room] | {room}
    return [other for other in imported(source, known) if room_of(other) not in allowed]


def test_the_list_of_rooms_has_an_order():
    seen: set[str] = set()
    for room, allowed in ROOMS.items():
        assert allowed <= seen, (room, allowed - seen)
        seen.add(room)


def test_every_module_stands_in_a_room():
    assert {name for name in modules() if not room_of(name)} <= FLAT
    flat = {name for name in modules() if "." not in name}
    assert flat == FLAT


def test_nothing_imports_upward():
    known = modules()
    upward = {
        name: forbidden(name, path.read_text(), set(known))
        for name, path in known.items()
        if room_of(name)
    }
    assert {name: arrows for name, arrows in upward.items() if arrows} == {}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("linalg.lanczos", "from landscape.objective import Objective"),
        ("network.weights", "from landscape.objective import data"),
        ("methods.walker.walker", "from landscape.methods import SAM"),
        ("measures.space.planes", "import landscape.measures.surface"),
        ("plots.surface", "from landscape.objective.objective import Objective"),
        ("report.page", "from landscape.auditing.run import audit"),
        ("training.loop", "def f():\n    from landscape.study import pool"),
    ],
)
def test_a_planted_upward_import_is_seen(name, line):
    known = modules()
    assert forbidden(name, f"{line}\n{known[name].read_text()}", set(known))


def test_no_module_is_part_of_a_circle():
    known = modules()
    arrows = {name: imported(path.read_text(), set(known)) - {name} for name, path in known.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, (*above[above.index(name) :], name)
        if name not in done:
            for other in arrows[name]:
                # A room's face hands on names of its modules; that is no circle.
                if other != f"{room_of(name)}.__init__":
                    visit(other, (*above, name))
            done.add(name)

    for name in arrows:
        if not name.endswith("__init__"):
            visit(name, ())


def test_no_module_of_the_command_line_is_part_of_a_circle():
    arrows = {
        path.stem: set(
            re.findall(r"from landscape_cli(?:\.commands)?(?:\.| import )(\w+)", path.read_text())
        )
        for path in (ROOT / "cli").rglob("*.py")
    }
    while free := {name for name, others in arrows.items() if not others & set(arrows)}:
        arrows = {name: others for name, others in arrows.items() if name not in free}
    assert not arrows


def test_no_folder_is_crowded():
    folders = [p for p in (ROOT / "landscape").rglob("*") if p.is_dir()]
    for folder in [*folders, ROOT / "landscape", ROOT / "cli", ROOT / "cli" / "commands"]:
        found = [p.name for p in folder.glob("*.py") if p.name != "__init__.py"]
        assert len(found) <= MOST_MODULES, folder
    assert len(FLAT) <= 4


@pytest.mark.parametrize("room", [r for r in ROOMS if r not in MODULES])
def test_a_room_says_what_it_is_for(room):
    tree = ast.parse((ROOT / "landscape" / room.replace(".", "/") / "__init__.py").read_text())
    said = ast.get_docstring(tree)
    assert said and 3 <= len(said.splitlines()) <= 6, room


def test_no_method_imports_another_method():
    methods = {made.__module__.rpartition(".")[2] for made in METHODS.values()}
    for name in methods:
        source = (ROOT / "landscape" / "methods" / f"{name}.py").read_text()
        others = {f"methods.{other}" for other in methods - {name}} | {"methods.__init__"}
        assert not imported(source, set(modules())) & others


def public_names(source: str) -> list[str]:
    """The names that a source imports from below the package and that begin with an underscore."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    nodes = [n for n in nodes if (n.module or "").split(".")[0] == "landscape"]
    return [a.name for n in nodes for a in n.names if a.name.startswith("_")]


@pytest.mark.parametrize("path", sorted((ROOT / "cli").rglob("*.py")), ids=lambda p: p.name)
def test_the_command_line_uses_public_names(path):
    assert not public_names(path.read_text())


def loads(statement: str, modules: str) -> list[str]:
    """Those of some modules that a statement loads in a fresh process."""
    code = f"import sys; {statement}; print(*[m for m in {modules.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_landscape_brings_no_plots_page_or_command_line():
    heavy = "matplotlib plotly jinja2 typer pydantic pyhessian sklearn xarray pandas safetensors"
    assert loads("import landscape", heavy) == []


def test_right_of_a_record_nothing_needs_torch():
    rooms = ", ".join(f"landscape.{room}" for room in ("records", "plots", "report", "statistics"))
    assert loads(f"import {rooms}", "torch") == []


def test_the_table_of_rooms_in_the_documentation_has_the_same_order():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Rooms")[2]
    table = text.partition("## ")[0]
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert rows == list(ROOMS)


def test_the_groups_of_rooms_in_the_documentation_name_each_once():
    rooms = {room for room in ROOMS if "." not in room} - MODULES
    for page in ("ARCHITECTURE.md", "landscape/README.md"):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        groups = " ".join(line for line in lines if line.startswith("* **"))
        groups = groups.partition("* **Parameters")[0]
        named = [name for name in groups.split("`")[1::2] if name in rooms]
        assert sorted(named) == sorted(rooms), page


def test_every_package_and_its_files_are_installed():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    package = ROOT / "landscape"
    folders = sorted(path.parent for path in package.rglob("__init__.py"))
    names = [".".join(folder.relative_to(ROOT).parts) for folder in folders]
    listed = tree["setuptools"]["packages"]
    assert [n for n in listed if not n.startswith("landscape_cli")] == names
    patterns = tree["setuptools"]["package-data"]["landscape"]
    held = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in package.rglob("*.*") if path.is_file()}
    others = {p for p in files if p.suffix not in (".py", ".pyc", ".md")}
    assert not others - held
