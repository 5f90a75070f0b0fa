"""State from which passes start; and modules that keep none, which are recognised from pass to pass
by the identity of all that they hold.
"""

from collections.abc import Sequence
from operator import is_
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from torch import Tensor, nn

from landscape.network.isolation import modes_of, set_modes
from landscape.network.module_state import ATOMS, ModuleState, modules_in, put_back


class Start(NamedTuple):
    """State from which passes start: buffers by name, plain attributes, frozen parameters."""

    buffers: dict[str, Tensor]
    attributes: ModuleState
    frozen: list[tuple[nn.Parameter, Tensor]]


class Steady:
    """A module whose attributes hold nothing that could be written to, without buffers or frozen
    parameters, and so are the modules in it: there is nothing to copy before a pass.

    start: the state that it has and keeps. The module itself is not kept alive.
    """

    def __init__(self, root: nn.Module, start: Start):
        self.start = start
        (_, self._mode), *self._modes = modes_of(root)
        self._held = _held(root)

    def unchanged(self, root: nn.Module) -> bool:
        """Tell whether the module holds the same as at the start, in a microsecond a module."""
        now = _held(root)
        return len(now) == len(self._held) and all(map(is_, now, self._held))

    def restore(self, root: nn.Module) -> None:
        """Put attributes and modes back."""
        if not self.unchanged(root):
            set_modes([(root, self._mode), *self._modes])
            put_back(self.start.attributes)


def is_steady(root: nn.Module, attributes: ModuleState) -> bool:
    """Tell whether a module keeps no state. attributes: as `module_state` gives them."""
    modules = modules_in(root)
    if len(attributes) > len(modules):  # objects in them have attributes, too
        return False
    if any(b is not None for module in modules for b in module._buffers.values()):
        return False
    parameters = (p for module in modules for p in module._parameters.values())
    if not all(p is None or p.requires_grad for p in parameters):
        return False
    return all(_immutable(value) for _, held in attributes for value in held.values())


def _held(root: nn.Module) -> Sequence[Any]:
    """Everything that a module and those in it hold, but for the module itself."""
    held: list[Any] = []
    for module in modules_in(root):
        attributes, parameters = vars(module), module._parameters.values()
        held.append(module)
        held += attributes
        held += attributes.values()
        held += module._buffers.values()
        held += parameters
        held += [p.requires_grad for p in parameters if p is not None]
    return held[1:]


def _immutable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_immutable, value))
    return type(value) in ATOMS or isinstance(value, FunctionType | BuiltinFunctionType | type)
