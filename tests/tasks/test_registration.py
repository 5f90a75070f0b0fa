"""The user's own code beside the package's: names of the package are never taken over."""

import sys

import pytest

from landscape.methods import METHODS
from landscape.tasks import imports, registration, registry
from landscape.tasks.registration import UserCode, register, user_task
from landscape.tasks.registry import TASKS

METHOD = """
from dataclasses import dataclass

@dataclass
class {name}:
    rho: float = 0.1

    def step(self, walker, batch):
        walker.descend(walker.grad(batch))
"""


@pytest.fixture(autouse=True)
def registries(monkeypatch, tmp_path):
    """A folder for the user's files; what is registered in a test is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for holder in (METHODS, TASKS, registration._tasks, registration._methods):
        kept = dict(holder)
        for key in kept:
            monkeypatch.setitem(holder, key, kept[key])
    yield tmp_path
    for holder in (METHODS, TASKS):
        for name in [n for n in holder if n in registration._tasks or n in registration._methods]:
            del holder[name]
    registration._tasks.clear()
    registration._methods.clear()


def method(folder, name):
    """A reference to a method of the user's own."""
    (folder / f"{name}_file.py").write_text(METHOD.format(name=name))
    reference = f"{name}_file.py:{name}"
    imports.allow([reference])
    return reference


@pytest.mark.parametrize("name", ["sam", "SAM", "lookahead"])
def test_a_method_called_like_a_built_in_is_refused(name, registries):
    before = dict(METHODS)
    with pytest.raises(ValueError, match=f"name of the built-in method {name.lower()}"):
        register(UserCode(methods={name: method(registries, name)}))
    assert before == METHODS


def test_a_method_of_ones_own_may_be_registered_twice(registries):
    reference = method(registries, "Mine")
    for _ in range(2):
        register(UserCode(methods={"Mine": reference}))
    assert METHODS["Mine"].__name__ == "Mine"


@pytest.mark.parametrize(
    ("base", "reference"), [(None, "digits.py:net"), (None, "MNIST.py:net"), ("digits", "cnn.py:n")]
)
def test_a_task_never_takes_the_name_of_a_built_in(base, reference):
    """digits with a network from cnn.py would be called digits-cnn, which is a task of ours."""
    made = user_task(base, model=reference, data="digits")
    assert made.name.casefold() not in {name.casefold() for name in TASKS}
    built_in = TASKS["digits-cnn"]
    register(UserCode(task=vars(made)))
    assert user_task(base, model=reference, data="digits").name == made.name
    assert registry.task("digits-cnn") is built_in


def test_a_stored_task_called_like_a_built_in_is_refused():
    with pytest.raises(ValueError, match="name of the built-in digits"):
        register(UserCode(task={**vars(TASKS["digits"]), "model": "evil.py:net"}))
