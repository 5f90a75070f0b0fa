"""Tasks as folders record them: a stranger's, until the user has named the same or trusts them.

A folder may name what is built in and opens no file of its choice: the package's networks with
sizes and switches, networks of other libraries by a plain name with sizes, the package's data.
References to code, other settings and other names need trust.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from landscape.data import DATA
from landscape.methods import METHODS
from landscape.models import MODELS
from landscape.tasks import imports, registration, registry
from landscape.tasks.registration import LIBRARIES, UserCode
from landscape.tasks.registry import Task
from landscape.utils.files import plain

PLAIN_NAME = re.compile(r"\w[\w.-]*")
SIZES = {  # and switches of other libraries' networks, with numbers as values
    "attention_dropout", "attention_probs_dropout_prob", "classes", "depth", "depths", "dim",
    "dims", "drop_path_rate", "drop_rate", "dropout", "embed_dim", "groups", "hidden_dim",
    "hidden_dropout_prob", "hidden_size", "img_size", "in_chans", "intermediate_size",
    "max_position_embeddings", "mlp_ratio", "n_heads", "n_layers", "num_attention_heads",
    "num_heads", "num_hidden_layers", "patch_size", "vocab_size", "width", "width_per_group",
    "zero_init_residual",
}  # fmt: skip

_trusted: set[str] = set()


def trust(own: Mapping[str, Any]) -> None:
    """Allow what a run's settings record of user code, fields of `UserCode`."""
    code = UserCode(**own)
    imports.allow(code.references)
    _trusted.add(_key(code.task))


def task_of(name: str, own: Mapping[str, Any]) -> Task:
    """The task that a run's settings record; nothing is registered.

    Raises ValueError where it needs trust.
    """
    fields = UserCode(**own).task
    if not fields:
        return registry.task(name)
    task = Task(**fields)
    named_by_user = registration.registered(name, ()).task
    if _key(fields) not in _trusted | {_key(named_by_user)}:
        _refuse_unless_harmless(task)
    return task


def check_names(task: str, method: str, own: Mapping[str, Any]) -> None:
    """Check that a folder's names are plain ones and replace nothing that is built in.

    Raises ValueError with the first that is not.
    """
    code = UserCode(**own)
    check_plain(task)
    for name in code.methods:
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError(f"The name {name!r} is no name of a method's class.")
    known = {*METHODS, *code.methods}
    for part in method.split("+"):
        if part.partition("@")[0] not in known or not is_plain(part):
            raise ValueError(f"The run's method {part!r} is not known.")
    taken = registration.taken_by(code)
    if taken:
        raise ValueError(f"The run gives {taken} another meaning, but that is built in.")
    if code.task and code.task.get("name") != task:
        raise ValueError(f"The run is of the task {task!r}, but records {code.task.get('name')!r}.")


def check_plain(*names: Any) -> None:
    """Raise ValueError with the first name that is no plain one."""
    for name in names:
        if not is_plain(name):
            raise ValueError(f"The name {name!r} is no plain name, as 'sam' or 'digits-wide'.")


def is_plain(name: Any) -> bool:
    """Test for a name that is safe as part of a file's name and on a terminal."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= 200
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\")
    )


def _refuse_unless_harmless(task: Task) -> None:
    """References pass here: `imports` refuses those that were not allowed."""
    for kind, name, known in (("model", task.model, MODELS), ("data", task.data, DATA)):
        if name not in known and not imports.is_reference(name):
            raise ValueError(f"The run refers to the {kind} {name!r}, which is not built in.")
    if task.model in LIBRARIES:  # they also open files and repositories
        for key, value in task.model_settings.items():
            if not _is_harmless(key, value):
                raise ValueError(
                    f"The run refers to {task.model} with {key}={value!r}, which may open files or "
                    "the network. Pass --trust to allow it."
                )


def _is_harmless(key: str, value: Any) -> bool:
    """Test for a setting of another library's network that is a plain name or a size."""
    if key == "name":
        return isinstance(value, str) and PLAIN_NAME.fullmatch(value) is not None
    return key in SIZES and _is_number(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_number, value))
    return value is None or isinstance(value, bool | int | float)


def _key(task: Mapping[str, Any]) -> str:
    return json.dumps(plain(task), sort_keys=True)
