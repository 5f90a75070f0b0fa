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

    start: the state that it has and keeps.
    """

    def __init__(self, root: nn.Module, start: Start):
        self._root, self.start = root, start
        self._modes, self._held = modes_of(root), _held(root)

    def unchanged(self) -> bool:
        """Tell whether they hold the same as at the start, in a microsecond a module."""
        now = _held(self._root)
        return len(now) == len(self._held) and all(map(is_, now, self._held))

    def restore(self) -> None:
        """Put attributes and modes back."""
        if not self.unchanged():
            set_modes(self._modes)
            put_back(self.start.attributes)


def is_steady(root: nn.Module, attributes: ModuleState) -> bool:
    """Tell whether a module keeps no state. attributes: as `module_state` gives them."""
    modules = modules_in(root)
    if len(attributes) > len(modules):  # objects in them have attributes, too
        return False
    if any(module._buffers for module in modules):
        return False
    parameters = (p for module in modules for p in module._parameters.values())
    if not all(p is None or p.requires_grad for p in parameters):
        return False
    return all(_immutable(value) for _, held in attributes for value in held.values())


def _held(root: nn.Module) -> Sequence[Any]:
    held: list[Any] = []
    for module in modules_in(root):
        attributes, parameters = vars(module), module._parameters.values()
        held.append(module)
        held += attributes
        held += attributes.values()
        held += module._buffers.values()
        held += parameters
        held += [p.requires_grad for p in parameters if p is not None]
    return held


def _immutable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_immutable, value))
    return type(value) in ATOMS or isinstance(value, FunctionType | BuiltinFunctionType | type)
