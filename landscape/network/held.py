"""What a model holds beside the weights that are moved and what is copied: its modules, and frozen
parameters that passes use as they are.
"""

from collections.abc import Iterable
from operator import is_
from typing import Any

from torch import Tensor, nn

from landscape.network.module_state import modules_in


class Held:
    """The modules of a model and some of its parameters, which have to stay what they are.

    as_they_are: the parameters that passes do not copy.
    """

    def __init__(self, model: nn.Module, as_they_are: Iterable[Tensor]):
        self._model, self._modules = model, modules_in(model)
        self._parameters = [p for p in as_they_are if not p.is_inference()]  # those never change
        self._before = self._versions()

    def check(self) -> None:
        """Raise ValueError where a module was replaced, or a parameter changed."""
        modules = modules_in(self._model)
        same = len(modules) == len(self._modules) and all(map(is_, modules, self._modules))
        if same and self._versions() == self._before:
            return
        raise ValueError(
            f"The model is another one than when the objective was made: {self._difference(same)}. "
            "Make a new Objective of it."
        )

    def _versions(self) -> list[Any]:
        return [(p._version, p.data_ptr()) for p in self._parameters]

    def _difference(self, same: bool) -> str:
        if not same:
            return "modules were replaced, added or taken away"
        pairs = zip(self._parameters, self._versions(), self._before, strict=True)
        changed = {id(p) for p, now, before in pairs if now != before}
        names = [name for name, p in self._model.named_parameters() if id(p) in changed]
        return f"frozen parameters have changed, as {names[0]!r}" if names else "frozen parameters"
