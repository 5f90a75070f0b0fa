"""The user's own code by name: what is imported, and what is not."""

import sys

import pytest

from landscape.tasks import imports


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("NUMBER = 4\n")
    (tmp_path / "mine.py").write_text(
        "import beside\n\ndef add(a, b=1):\n    return a + b + beside.NUMBER\n\n"
        "class Box:\n    @staticmethod\n    def make():\n        return 'made'\n\n"
        "def fail():\n    raise RuntimeError('first\\nsecond')\n\nconstant = 3\n"
    )
    yield tmp_path / "mine.py"
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]
    sys.modules.pop("beside", None)


def allowed(reference):
    imports.allow([reference])
    return reference


def test_from_a_file(file):
    assert imports.called(allowed(f"{file}:add"), {"a": 2}) == 7
    assert imports.called(allowed(f"{file}:Box.make"), {}) == "made"
    assert imports.imported(f"{file}:add") is imports.imported(f"{file}:add")


def test_from_a_module():
    assert imports.called(allowed("fractions:Fraction.from_float"), {"f": 0.5}) == 0.5


def test_what_the_user_has_not_named_is_not_imported(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\ndef main(): pass\n")
    with pytest.raises(ValueError, match="The run refers to"):
        imports.imported(f"{tmp_path}/evil.py:main")
    assert not mark.exists()


WRONG = {
    "{file}:ad": "Did you mean 'add'",
    "{file}:constant": "must be callable. Got int",
    "{file}:fail": r"RuntimeError: first \(mine\.py, line 12\)",
    "{folder}/none.py:add": "There is no file",
    "no_such_module_here:add": "There is no module 'no_such_module_here'",
    "no_such.module.here:add": "There is no module",
    ":add": "is written pkg.mod:name",
    "{file}:": "is written pkg.mod:name",
}


@pytest.mark.parametrize("reference", WRONG)
def test_errors_are_one_line(reference, file):
    name = allowed(reference.format(file=file, folder=file.parent))
    with pytest.raises(ValueError, match=WRONG[reference]) as error:
        imports.called(name, {})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("package", "module", "message"),
    [
        ("raise RuntimeError('old\\nlibrary')", "", r"failed: RuntimeError: old \(__init__\.py"),
        ("import not_there_at_all", "", r"No module named 'not_there_at_all'"),
        ("", "raise SystemExit(3)", r"failed: SystemExit: 3 \(inner\.py, line 1\)"),
    ],
)
def test_a_package_that_does_not_load(package, module, message, tmp_path, monkeypatch):
    (tmp_path / "outer_package").mkdir()
    (tmp_path / "outer_package" / "__init__.py").write_text(package)
    (tmp_path / "outer_package" / "inner.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        imports.called(allowed("outer_package.inner:make"), {})
    assert "\n" not in str(error.value)
    sys.modules.pop("outer_package", None)


@pytest.mark.parametrize("arguments", [{}, {"a": 1, "c": 2}])
def test_wrong_arguments(arguments, file):
    with pytest.raises(ValueError, match="does not take these arguments"):
        imports.called(allowed(f"{file}:add"), arguments)


def test_a_file_that_fails_is_tried_anew(tmp_path):
    path = tmp_path / "late.py"
    path.write_text("def make(:\n")
    with pytest.raises(ValueError, match="SyntaxError"):
        imports.called(allowed(f"{path}:make"), {})
    path.write_text("def make():\n    return 1\n")
    assert imports.called(f"{path}:make", {}) == 1
