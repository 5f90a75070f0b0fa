"""The user's own code, named as "pkg.mod:attribute" or "file.py:attribute".

Only what the user has named in this process is ever imported: a run's folder or a checkpoint may
say "evil:main", and it stays a string until the user has said the same.
"""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from landscape.utils.names import unknown

_allowed: set[str] = set()


def is_reference(name: str) -> bool:
    """Test whether a name has the form "where:what"."""
    return ":" in name


def allow(references: Iterable[str]) -> None:
    """The user has named these; from now on they may be imported."""
    _allowed.update(references)


def imported(reference: str) -> Any:
    """Import what a reference names: "pkg.mod:factory", "file.py:factory", "pkg.mod:Class.method".

    Raises ValueError, in one line, where it was not allowed, is not there, or its module fails.
    """
    where, _, what = reference.partition(":")
    if not where or not what:
        raise ValueError(f"A reference is written pkg.mod:name or file.py:name. Got {reference!r}.")
    if reference not in _allowed:
        raise ValueError(f"The run refers to {reference}. Pass --trust to import it.")
    module = _from_file(Path(where)) if where.endswith(".py") else _from_name(where, reference)
    try:
        return reduce(getattr, what.split("."), module)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ValueError(unknown(f"name in {where}", what, names[:30])) from None


def called(reference: str, arguments: Mapping[str, Any], *first: Any) -> Any:
    """The answer of a factory, loader or class to keyword arguments; errors in one line.

    first: what it is given by place.
    """
    factory = imported(reference)
    if not callable(factory):
        raise ValueError(f"{reference} must be callable. Got {type(factory).__name__}.")
    check_arguments(factory, reference, arguments, *first)
    return _guarded(lambda: factory(*first, **arguments), reference)


def check_arguments(
    factory: Callable[..., Any], name: str, arguments: Mapping[str, Any], *first: Any
) -> None:
    """Raises ValueError, in one line, where a factory does not take these keywords, or needs more.

    name: of the factory, for the error. first: what it is given by place.
    """
    try:
        inspect.signature(factory).bind(*first, **arguments)
    except TypeError as error:
        raise ValueError(f"{name} does not take these arguments: {error}.") from None
    except ValueError:  # a built-in without a signature
        pass


def _search(folder: Path) -> None:
    """Let modules in a folder be found, after all others, so that none takes a package's place."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _from_name(where: str, reference: str) -> ModuleType:
    _search(Path.cwd())
    try:
        found = importlib.util.find_spec(where)  # imports the packages around it
    except (ModuleNotFoundError, ValueError) as error:
        missing = getattr(error, "name", where)
        if not f"{where}.".startswith(f"{missing}."):
            raise ValueError(f"{reference} failed: {_describe(error)}.") from error
        found = None
    except Exception as error:
        raise ValueError(f"{reference} failed: {_describe(error)}.") from error
    if found is None:
        raise ValueError(
            f"There is no module {where!r} to take {reference} from. Is it installed, or in the "
            "folder you are in?"
        )
    module: ModuleType = _guarded(lambda: importlib.import_module(where), reference)
    return module


def _from_file(path: Path) -> ModuleType:
    """The module of a file, executed once; modules beside it can be imported by it."""
    path = path.resolve()
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    name = f"landscape_user_{path.stem}_{abs(hash(path)):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _search(path.parent)
    loader = spec.loader
    try:
        _guarded(lambda: loader.exec_module(module), str(path))
    except ValueError:
        del sys.modules[name]
        raise
    return module


def _guarded(call: Callable[[], Any], reference: str) -> Any:
    """Answer of the user's code; its error as one line with the place."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{reference} failed: {_describe(error)}.") from error


@contextmanager
def errors_attributed_to(names: Iterable[str]) -> Iterator[None]:
    """Attribute an error raised inside to the user's code of these names, in one line.

    Without names it is an internal error and passes with its traceback. ValueError, OSError and
    memory that runs out pass as they are.
    """
    named = [name for name in names if name]
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:
        if not named:
            raise
        raise ValueError(f"{', '.join(named)} failed together: {_describe(error)}.") from error


def _describe(error: BaseException) -> str:
    """Kind, first line and place of an error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = str(error).strip().splitlines() or [""]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return f"{type(error).__name__}: {what[0]} ({place})"
