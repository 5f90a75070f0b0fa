"""Nothing moves between passes, seen afterwards: cheaper than to start each pass anew."""

from collections.abc import Sequence

import torch

from landscape.network.batch import Batch
from landscape.network.isolation import modes_of, snapshot
from landscape.network.module_state import module_state, references, same
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.utils.rng import generator_states


class Unmoved:
    """State that an open model's passes start from, compared with what they leave.

    That is buffers, modes, plain attributes, the global generators, and the batches: `given` as
    they are, `copies` as passes get them. The point is not among it.
    """

    def __init__(self, risk: EmpiricalRisk, given: Sequence[Batch], copies: Sequence[Batch]):
        self.risk = risk
        self._batches = list(zip(given, copies, strict=True))
        self._modes = modes_of(risk.model)
        self._buffers = snapshot(risk.model)
        self._attributes = [held for _, held in module_state(risk.model)]
        self._generators = generator_states(risk.device)

    def holds(self) -> bool:
        """Tell whether everything is as it was, bit for bit; not, where that cannot be told."""
        model = self.risk.model
        try:
            return (
                self._generators == generator_states(self.risk.device)
                and self._modes == modes_of(model)
                and same(self._buffers, _buffers(self.risk))
                and same(self._attributes, [held for _, held in references(model)])
                and all(same([a.x, a.y], [b.x, b.y]) for a, b in self._batches)
            )
        except Exception:  # values of a user's own may refuse to be compared
            return False


def _buffers(risk: EmpiricalRisk) -> dict[str, torch.Tensor]:
    return {
        f"{prefix}.{key}": b
        for prefix, module in risk.model.named_modules()
        for key, b in module._buffers.items()
        if b is not None
    }
