"""A block of w: the coordinates of one module's parameters, or all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

import torch
from torch import Tensor, nn

from landscape.network.weights import Weights, in_format_of
from landscape.utils.names import unknown


@dataclass(frozen=True, eq=False)
class Block:
    """positions: of its parameters in the order of `w`. Vectors of the block have shape (m,)."""

    weights: Weights
    positions: tuple[int, ...]

    @classmethod
    def of(cls, model: nn.Module, weights: Weights, layer: str | None) -> "Block":
        """The block of a module's trainable parameters, tied ones too; all of w for None.

        Raises ValueError for a name that is no module, or a module without trainable parameters.
        """
        if layer is None:
            return cls(weights, tuple(range(len(weights.names))))
        place = {id(p): i for i, p in enumerate(weights.parameters)}
        found = {
            name: sorted({place[id(p)] for p in module.parameters() if id(p) in place})
            for name, module in model.named_modules(remove_duplicate=False)
        }
        if layer not in found:
            raise ValueError(unknown("layer", layer, [name for name in found if found[name]]))
        if not found[layer]:
            raise ValueError(
                f"`layer` must have trainable parameters. {layer!r} has none; these have: "
                f"{', '.join(name for name in found if name and found[name])}."
            )
        return cls(weights, tuple(found[layer]))

    @property
    def whole(self) -> bool:
        """Test whether the block is all of w."""
        return len(self.positions) == len(self.weights.names)

    @property
    def n(self) -> int:
        """Its number of coordinates, m."""
        return sum(s.stop - s.start for s in self._slices)

    @property
    def module_sizes(self) -> list[int]:
        """Numbers of coordinates, one module after the other; their sum is m."""
        module = [self.weights.names[i].rpartition(".")[0] for i in self.positions]
        sized = zip(module, self._sizes, strict=True)
        return [sum(size for _, size in run) for _, run in groupby(sized, lambda pair: pair[0])]

    def read(self, w: Tensor) -> Tensor:
        """w (n,) -> a copy of the block's coordinates, (m,)."""
        return torch.cat([w[s] for s in self._slices])

    def embed(self, v: Tensor) -> Tensor:
        """v (m,) -> (n,), zero elsewhere."""
        full = v.new_zeros(self.weights.n)
        for s, part in zip(self._slices, v.split(self._sizes), strict=True):
            full[s] = part
        return full

    def parameters(self, w: Tensor, leaf: Tensor) -> Sequence[Tensor]:
        """The parameters at w (n,), those of the block as views of `leaf` (m,), the rest constant.

        A derivative by `leaf` then costs nothing outside the block.
        """
        if self.whole:
            return self.weights.split(leaf)
        views = self.weights.split(w.detach())
        for i, part in zip(self.positions, leaf.split(self._sizes), strict=True):
            views[i] = in_format_of(self.weights.parameters[i], part.view(views[i].shape))
        return views

    @property
    def _sizes(self) -> list[int]:
        return [self.weights.parameters[i].numel() for i in self.positions]

    @property
    def _slices(self) -> list[slice]:
        sizes = [p.numel() for p in self.weights.parameters]
        every = [slice(a, b) for a, b in pairwise(accumulate(sizes, initial=0))]
        return [every[i] for i in self.positions]
