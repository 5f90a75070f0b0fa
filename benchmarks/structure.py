"""Prints how the package is built: folders, imports between units, lengths, import times.

    python benchmarks/structure.py [--repo DIR] [--no-times]

A unit is a folder or a file directly below `landscape/`, or the command line `cli/`. An arrow is an
import of one unit by another, inside functions and for types too; a level is the longest way down
from a unit to one that imports none; a circle is a set of units or modules that reach each other.
Import times are the wall time of a fresh process less that of an empty one, the median of five;
torch's own is shown beside them. Standard library only; the checkout needs its dependencies
installed in the Python that runs this.
"""

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PACKAGES = {"landscape": "landscape", "landscape_cli": "cli"}  # import name -> folder
LIST = """from contextlib import redirect_stdout, suppress
from io import StringIO
from landscape_cli.main import run
sys.argv[1:] = ["list", "methods"]
with redirect_stdout(StringIO()), suppress(SystemExit):
    run()"""
IMPORTS = ("torch", "landscape", "landscape.records", "landscape.plots", "landscape.report")


def modules(repo):
    """Dotted import name -> file, for the package and its command line."""
    names = {}
    for package, folder in PACKAGES.items():
        for path in sorted((repo / folder).rglob("*.py")):
            parts = path.relative_to(repo / folder).with_suffix("").parts
            names[".".join((package, *parts)).removesuffix(".__init__")] = path
    return names


def imported(name, path, known):
    """The known modules that one module imports."""
    targets = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            targets |= {
                whole if (whole := f"{node.module}.{alias.name}") in known else node.module
                for alias in node.names
            }
    return (targets & set(known)) - {name}


def unit_of(name):
    """The folder or file directly below the package; "cli" and "__init__" for the two faces."""
    package, *rest = name.split(".")
    return "cli" if package == "landscape_cli" else rest[0] if rest else "__init__"


def circles(arrows):
    """Sets of two or more nodes that reach each other (Tarjan's strongly connected components)."""
    index, low, stack, groups = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in arrows[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            groups.append(sorted(stack[at:]))
            del stack[at:]

    for node in arrows:
        if node not in index:
            visit(node)
    return [group for group in groups if len(group) > 1]


def levels(arrows):
    """The number of units on the longest chain of imports; a circle counts as one unit."""
    group = {node: tuple(ring) for ring in circles(arrows) for node in ring}
    name = {node: group.get(node, (node,)) for node in arrows}
    below = {ring: set() for ring in name.values()}
    for node, others in arrows.items():
        below[name[node]] |= {name[other] for other in others} - {name[node]}
    heights = {}

    def height(ring):
        if ring not in heights:
            heights[ring] = 1 + max((height(other) for other in below[ring]), default=0)
        return heights[ring]

    return max(height(ring) for ring in below)


def functions(path):
    """(lines, name) of each function: of its body, without signature and docstring."""
    measured = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            measured.append((lines, node.name))
    return measured


def seconds(statement, repo):
    """Wall time of a statement in a fresh process, the median of five after one to warm up.

    A package that is installed in editable mode is hidden, so that the checkout's own is imported.
    """
    code = f"""import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "")]
{statement}
loaded = sys.modules.get("landscape")
assert loaded is None or loaded.__file__.startswith({str(repo)!r}), loaded.__file__"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "landscape_cli").symlink_to(repo / "cli")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(repo), folder))}
        times = []
        for _ in range(6):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def structure(repo):
    """Rows (what, value) about the source, and the modules of each folder."""
    known = modules(repo)
    by_module = {name: imported(name, path, known) for name, path in known.items()}
    by_unit = {unit_of(name): set() for name in known}
    for name, others in by_module.items():
        by_unit[unit_of(name)] |= {unit_of(other) for other in others} - {unit_of(name)}
    # A face of a folder hands on names of its modules: no circle of modules.
    plain = {name: path for name, path in known.items() if path.name != "__init__.py"}
    rings = circles({name: by_module[name] & set(plain) for name in plain})
    size = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in known.values()}
    longest = max(size, key=size.get)
    steps = [(*function, path) for path in known.values() for function in functions(path)]
    lines, name, at = max(steps, key=lambda step: step[0])
    folders = Counter(str(path.parent.relative_to(repo)) for path in plain.values())
    rows = [
        ("modules flat in landscape/", folders["landscape"]),
        ("modules in the fullest folder", "{1} in {0}".format(*folders.most_common(1)[0])),
        ("units", len(by_unit)),
        ("levels of units", levels(by_unit)),
        ("arrows between units", sum(map(len, by_unit.values()))),
        ("circles of units", circles(by_unit) or 0),
        ("circles of modules", rings or 0),
        ("modules", len(plain)),
        ("lines of landscape/ and cli/", sum(size.values())),
        ("longest file", f"{size[longest]} in {longest.relative_to(repo)}"),
        ("longest function body", f"{lines} in {at.relative_to(repo)}, {name}"),
    ]
    return rows, sorted(folders.items())


def import_times(repo):
    """Rows (statement, seconds beyond an empty process)."""
    empty = seconds("pass", repo)
    rows = [(f"import {name}", seconds(f"import {name}", repo) - empty) for name in IMPORTS]
    rows.append(("landscape list methods", seconds(LIST, repo) - empty))
    return [(statement, f"{wall:.2f} s") for statement, wall in rows]


def main():
    """Read the arguments, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--no-times", action="store_true", help="leave out the import times")
    arguments = parser.parse_args()
    repo = arguments.repo.resolve()
    rows, folders = structure(repo)
    print("| what | value |\n| --- | --- |")
    for what, value in [*rows, *([] if arguments.no_times else import_times(repo))]:
        print(f"| {what} | {value} |")
    print("\n| folder | modules |\n| --- | --- |")
    for folder, count in folders:
        print(f"| {folder} | {count} |")


if __name__ == "__main__":
    main()
