"""Optional libraries: imported where they are used, or an error that says how to get them."""

from importlib import import_module
from types import ModuleType


def optional(module: str, extra: str) -> ModuleType:
    """The imported module.

    extra: of this package that brings it, as in "hf" of landscape[hf].

    Raises ValueError, one line that names the extra, where it is not installed or does not load.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        why = "is not installed" if error.name == module.partition(".")[0] else f"fails: {error}"
    except (ImportError, RuntimeError) as error:  # the latter: torchvision for another torch
        why = f"fails: {' '.join(str(error).split())}"
    raise ValueError(f"{module} {why}. Install it with: pip install 'landscape[{extra}]'.")
