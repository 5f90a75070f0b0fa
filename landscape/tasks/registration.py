"""Tasks and methods of the user's own, registered beside the package's for one process."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from landscape.data import DATA
from landscape.methods import METHODS
from landscape.models import MODELS
from landscape.tasks import imports, registry
from landscape.tasks.losses import LOSSES
from landscape.tasks.registry import Task
from landscape.utils.names import canonical

LIBRARIES = ("torchvision", "timm", "transformers")
REFERENCE = "pkg.mod:name or file.py:name"  # how a reference is written


def user_task(base: str | None, **parts: Any) -> Task:
    """A task with a model, data or loss of the user's own, given as fields of `Task`.

    base: the task that gives what is left out. The name is that of the first part's file or module.

    Raises ValueError where neither says what the model and the data are.
    """
    given = {key: value for key, value in parts.items() if value}
    first = next(given[key] for key in ("model", "data", "loss") if key in given)
    stem = Path(first.partition(":")[0]).stem
    name = f"{base}-{stem}" if base else stem
    if built_in(name, registry.TASKS, _tasks):
        name = f"own-{name}"
    if base:
        return Task(**{**vars(registry.task(base)), **given, "name": name})
    for key in ("model", "data"):
        if key not in given:
            raise ValueError(f"A task of your own needs --{key}, or --task for what is left out.")
    return Task(name, f"{given['model']} on {given['data']}", **given)


@dataclass(frozen=True)
class UserCode:
    """A task and methods of the user's own: plain values and references, as runs store them.

    task: fields of `Task`; methods: references by name.
    """

    task: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.task or self.methods)

    @property
    def task_names(self) -> list[str]:
        """Names of the task's model, data and loss; "" for what is not given."""
        return [self.task.get(key, "") for key in ("model", "data", "loss")]

    @property
    def references(self) -> list[str]:
        """References that would have to be imported."""
        names = (*self.task_names, *self.methods.values())
        return [name for name in names if imports.is_reference(name)]


_tasks: dict[str, Mapping[str, Any]] = {}  # fields of the registered tasks, by name
_methods: dict[str, str] = {}  # references of the registered methods, by name


def built_in(name: str, registry: Mapping[str, Any], registered: Mapping[str, Any]) -> str | None:
    """The entry of the package that a name, in any case, stands for; None where there is none."""
    known = (entry for entry in registry if entry not in registered)
    return next((entry for entry in known if entry.casefold() == name.casefold()), None)


def taken_by(code: UserCode) -> str | None:
    """The built-in method or task that has a name of the user's; None where there is none."""
    taken = (built_in(name, METHODS, _methods) for name in code.methods)
    of_task = built_in(code.task["name"], registry.TASKS, _tasks) if code.task else None
    return next(filter(None, taken), of_task)


def register(code: UserCode) -> None:
    """Add the task and the methods to the registries. Methods are imported, see `references`.

    Raises ValueError where a method is no dataclass with a `step`, or is called like a method
    of the package.
    """
    for name, reference in code.methods.items():
        if taken := built_in(name, METHODS, _methods):
            raise ValueError(f"{reference} has the name of the built-in method {taken}. Rename it.")
        method = imports.imported(reference)
        if not (isinstance(method, type) and hasattr(method, "step")):
            raise ValueError(f"{reference} must be a class with step(walker, batch).")
        if not hasattr(method, "__dataclass_fields__"):
            raise ValueError(f"{reference} must be a dataclass: its fields are the settings.")
        METHODS[name] = method
        _methods[name] = reference
    if code.task:
        made = Task(**code.task)
        if taken := built_in(made.name, registry.TASKS, _tasks):
            raise ValueError(f"A task of your own has the name of the built-in {taken}. Rename it.")
        registry.TASKS[made.name] = made
        plain = asdict(made)
        if made.measured == Task.measured:
            del plain["measured"]  # runs from before there was this field are still the same
        _tasks[made.name] = plain


def register_task(
    base: str | None,
    *,
    model: str | None = None,
    model_args: Mapping[str, Any] | None = None,
    data: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    loss: str | None = None,
) -> str:
    """The name of a task: `base`, in any case, or one with the user's model, data or loss.

    model, data: names of the package or references; loss: a reference. They are imported, so that
    a wrong name is told before anything else.

    Raises ValueError for names and references that do not exist.
    """
    for kind, name, arguments in (("model", model, model_args), ("data", data, data_args)):
        if arguments and not name:
            raise ValueError(
                f"`--{kind}-args` has no effect without --{kind}. Name the {kind} too."
            )
    model, model_args = of_library(model, model_args or {})
    import_named(model, data, loss)
    if base is not None:
        base = canonical("task", base, registry.TASKS)
    if not (model or data or loss):
        if base is None:
            raise ValueError("What to train? Give --task, or --model and --data.")
        return base
    made = user_task(
        base,
        model=_canonical("model", model, MODELS),
        data=_canonical("data set", data, DATA),
        loss=loss,
        model_settings=model_args,
        data_settings=data_args,
    )
    register(UserCode(task=vars(made)))
    return made.name


def register_methods(names: Sequence[str]) -> list[str]:
    """Methods by name, in any case; "mine.py:MySAM" is imported and registered as MySAM.

    Raises ValueError for unknown names, and for a class that is no method.
    """
    methods = []
    for name in names:
        if imports.is_reference(name):
            imports.allow([name])
            short = name.rpartition(":")[2]
            register(UserCode(methods={short: name}))
            methods.append(short)
        else:
            methods.append(canonical_method(name))
    return methods


def canonical_method(name: str) -> str:
    """ "lets+asam@wide" of "LETS+ASAM@wide": each part as the registry writes it.

    Raises ValueError for unknown ones.
    """
    parts = [part.partition("@") for part in name.split("+")]
    return "+".join(canonical("method", part, METHODS) + at + label for part, at, label in parts)


def of_library(model: Any, arguments: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The model and its keywords where a network of a library is named, as "timm:convnext_tiny".

    What the library's module holds under that name itself is a reference, as timm:create_model.
    """
    library, _, name = model.partition(":") if isinstance(model, str) else ("", "", "")
    if library not in LIBRARIES or not name:
        return model, arguments
    if find_spec(library) is not None and hasattr(import_module(library), name):
        return model, arguments
    return library, {"name": name, **arguments}


def import_named(*names: Any) -> None:
    """Import the references among names that the user gave in this process.

    The last one is a loss. Raises ValueError.
    """
    *_, loss = names
    if isinstance(loss, str) and loss and loss not in LOSSES and not imports.is_reference(loss):
        known = ", ".join(LOSSES)
        raise ValueError(f"`loss` must be {known} or {REFERENCE}. Got {loss!r}.")
    references = [name for name in names if isinstance(name, str) and imports.is_reference(name)]
    imports.allow(references)
    for reference in references:
        imports.imported(reference)


def _canonical(kind: str, name: str | None, known: Mapping[str, Any]) -> str | None:
    return name if not name or imports.is_reference(name) else canonical(kind, name, known)


def registered(task_name: str, methods: Sequence[str]) -> UserCode:
    """The user's own code that a run of that task with these methods needs."""
    references = {method: _methods[method] for method in methods if method in _methods}
    return UserCode(_tasks.get(task_name, {}), references)
