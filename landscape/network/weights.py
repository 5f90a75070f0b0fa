"""The flat vector: the trainable parameters of a module as one `w` of shape (n,), and back.

Order: `named_parameters`, tied parameters once, each in logical (row-major) order. Frozen
parameters are not in `w`, nor are those whose name does not match a pattern, where one is given.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.nn.parameter import is_lazy

from landscape.network.filters import filter_numbers, filter_view, is_normalisation, roles

VERSION = attrgetter("_version")


class Weights:
    """Names, slices and filters of `w`, and the two ways between it and the module.

    names: of the parameters in order; layers: name -> slice of `w`; shapes: name -> shape; n:
    length of `w`.
    pattern: a regular expression found in the names of the parameters that are `w`; "" in all.

    Raises ValueError where nothing is trainable, matches or has a shape yet, for TorchScript
    modules, for a pattern that is no regular expression, and where the parameters lie on several
    devices.
    """

    def __init__(self, model: nn.Module, pattern: str = ""):
        check_initialised(model)
        self.pattern = pattern
        self._parameters = _matching(model, pattern)
        if not self._parameters:
            raise ValueError(
                "The model has no trainable parameters. Set requires_grad=True on at least one."
            )
        devices = sorted({str(p.device) for p in self._parameters.values()})
        if len(devices) > 1:
            raise ValueError(f"All parameters must lie on one device. Got {', '.join(devices)}.")
        self._list = list(self._parameters.values())
        self.names = tuple(self._parameters)
        self.shapes = {name: p.shape for name, p in self._parameters.items()}
        self._images = any(p.dim() >= 4 for p in self._list)  # those have several formats
        self._sizes = [p.numel() for p in self._parameters.values()]
        self.n = sum(self._sizes)
        ends = torch.tensor(self._sizes).cumsum(0).tolist()
        self.layers: Mapping[str, slice] = MappingProxyType(
            {
                name: slice(end - size, end)
                for name, size, end in zip(self.names, self._sizes, ends, strict=True)
            }
        )
        found = roles(model)
        self._roles = [found[id(p)] for p in self._parameters.values()]
        position = {id(p): i for i, p in enumerate(self._parameters.values())}
        self._owners = [
            (module, key, position[id(p)])
            for module in model.modules()
            for key, p in module._parameters.items()
            if p is not None and id(p) in position
        ]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The module's own parameters, in the order of `w`."""
        return self._list.copy()

    def read(self) -> Tensor:
        """A copy of the parameters, shape (n,)."""
        return self.flatten([p.detach() for p in self._parameters.values()])

    @torch.no_grad()
    def write(self, w: Tensor) -> None:
        """Copy `w` (n,) into the parameters, whatever their memory format."""
        for p, part in zip(self._parameters.values(), self.split(w), strict=True):
            p.copy_(part)

    def flatten(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """Tensors in parameter order -> (n,); None, the gradient of an unused parameter, is
        zeros.
        """
        parts = self.filled(tensors)
        return _flatten_dense_tensors(parts) if len(parts) > 1 else parts[0].reshape(-1).clone()

    def filled(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """Tensors in parameter order, with zeros in the place of None."""
        return [
            p.new_zeros(p.shape) if t is None else t
            for p, t in zip(self._list, tensors, strict=True)
        ]

    def split(self, w: Tensor) -> list[Tensor]:
        """`w` (n,) -> views in the parameters' shapes, and memory formats. Differentiable, one
        graph node.
        """
        return list(map(in_format_of, self._parameters.values(), self.views(w)))

    def views(self, w: Tensor) -> list[Tensor]:
        """`w` (n,) -> views in the parameters' shapes: they move with it."""
        parts = self.checked(w).split(self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes.values(), strict=True)]

    def stacked(self, points: Tensor) -> list[Tensor]:
        """Several points (k, n) -> one tensor (k, *shape) per parameter."""
        parts = zip(points.split(self._sizes, dim=1), self.shapes.values(), strict=True)
        return [part.reshape(-1, *shape) for part, shape in parts]

    def checked(self, w: Tensor) -> Tensor:
        """`w` itself. Raises ValueError where its shape is not (n,)."""
        if w.shape != (self.n,):
            raise ValueError(f"A point must have shape ({self.n},). Got {tuple(w.shape)}.")
        return w

    def leaves(self, w: Tensor) -> list[Tensor]:
        """`w` (n,) as leaves of a graph, one per parameter, in its shape and memory format.

        For a first derivative cheaper than one flat leaf: a tenth of a pass on a ResNet-18.
        """
        parts = self.cut(w.detach() if w.requires_grad else w)
        for part in parts:
            part.requires_grad_()
        return list(parts)

    def cut(self, w: Tensor) -> Sequence[Tensor]:
        """`split` for a `w` (n,) without a graph, in a quarter of its time."""
        parts = _unflatten_dense_tensors(self.checked(w), self._list)
        if not self._images:
            return parts
        return list(map(in_format_of, self._list, parts))

    @contextmanager
    def substituted(
        self, w: Tensor | Sequence[Tensor]
    ) -> Iterator[Callable[[Tensor | Sequence[Tensor]], None]]:
        """While open, the module computes with views of `w`. Its own parameters are never
        touched. Yields what takes it to another point.
        """
        kept = [module._parameters[key] for module, key, _ in self._owners]

        def set_point(w: Tensor | Sequence[Tensor]) -> None:
            views = self.split(w) if isinstance(w, Tensor) else w
            for module, key, i in self._owners:
                module._parameters[key] = views[i]  # type: ignore[assignment]

        try:
            set_point(w)
            yield set_point
        finally:
            for (module, key, _), p in zip(self._owners, kept, strict=True):
                module._parameters[key] = p

    def filter_index(self) -> Tensor:
        """For each coordinate the number of its filter, (n,) int64; -1 in parameters without
        filters: see `landscape.network.filters`.
        """
        parts, count = [], 0
        for role, shape in zip(self._roles, self.shapes.values(), strict=True):
            numbers = filter_numbers(role, shape)
            if numbers is None:
                parts.append(torch.full((shape.numel(),), -1))
            else:
                parts.append(count + numbers.reshape(-1))
                count += int(numbers.max()) + 1
        return torch.cat(parts)

    def filters(self, v: Tensor) -> list[Tensor | None]:
        """`v` (n,) -> of each parameter a view (groups, outputs, inputs, kernel), where [g, o] is
        a filter; None of parameters without filters.
        """
        return [filter_view(*pair) for pair in zip(self._roles, self.views(v), strict=True)]

    @property
    def gains(self) -> list[bool]:
        """Tell of each parameter whether it belongs to a normalisation."""
        return [role.gain for role in self._roles]

    @property
    def normalising(self) -> list[bool]:
        """Tell of each parameter whether a normalisation layer holds it."""
        return [is_normalisation(role.layer) for role in self._roles]


class unwritten:
    """While open, a model that computes with these tensors must not write into them.

    Recorded writes are always seen; those through `.data` where `compare` is set, for a copy.
    Raises ValueError at the end. A class, because it is entered in every pass of training.
    """

    def __init__(self, values: Sequence[Tensor], compare: bool):
        self.values, self.compare = values, compare

    def __enter__(self) -> None:
        self._versions = list(map(VERSION, self.values))
        self._copies = [t.detach().clone() for t in self.values] if self.compare else []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        changed = any(
            bool(((t.detach() != copy) & (copy == copy)).any())
            for t, copy in zip(self.values[: len(self._copies)], self._copies, strict=True)
        )
        if changed or list(map(VERSION, self.values)) != self._versions:
            raise ValueError(
                "The model changes its own weights in a pass, as nn.Embedding(max_norm=...) and "
                "clamped layers do; what a method does with the weights would be undone or lost. "
                "Change them after each step instead."
            )


def _matching(model: nn.Module, pattern: str) -> dict[str, nn.Parameter]:
    """The trainable parameters by name, tied ones once, of which a name matches."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not pattern:
        return trainable
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f'`parameters` must be a regular expression, as "lora|head". Got {pattern!r}: {error}.'
        ) from None
    every = model.named_parameters(remove_duplicate=False)
    chosen = {id(p) for name, p in every if wanted.search(name)}
    matching = {name: p for name, p in trainable.items() if id(p) in chosen}
    if trainable and not matching:
        more = f" and {len(trainable) - 3} more" if len(trainable) > 3 else ""
        raise ValueError(
            f"`parameters` must match the name of a trainable parameter. Got {pattern!r}; the "
            f"names are {', '.join(list(trainable)[:3])}{more}."
        )
    return matching


def check_initialised(model: nn.Module) -> None:
    """Raise ValueError for weights without a shape yet, and for those that TorchScript holds."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"TorchScript modules ({name or 'the model'}) hold weights that cannot be moved. "
                "Build the network in Python and load them: "
                "net.load_state_dict(torch.jit.load(path).state_dict())."
            )
    for name, p in model.named_parameters():
        if hasattr(p, "placements") or p.is_meta:  # a DTensor, or taken over by ls.sharded
            raise ValueError(
                f"{name!r} lies in shards or on the meta device. An Objective needs whole weights: "
                "load them, or give ls.sharded a plain network (before fully_shard) and measure "
                "ls.ShardedObjective."
            )
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(t):
            raise ValueError(f"{name!r} has no shape yet. Run one batch through the model first.")
    _check_apart(model)


def _check_apart(model: nn.Module) -> None:
    """Raise ValueError where a trainable parameter lies in the memory of another tensor."""
    named = (*model.named_parameters(), *model.named_buffers())
    spans = sorted((*_span(t), name, t.requires_grad) for name, t in named if _has_memory(t))
    end, last, moves = 0, "", False
    for start, stop, name, trainable in spans:
        if start < end and (trainable or moves):
            raise ValueError(
                f"{last!r} and {name!r} lie in one memory, but are two tensors of the model. Tie "
                "weights by assigning the parameter: model.b.weight = model.a.weight."
            )
        if stop > end:
            end, last, moves = stop, name, trainable


def _has_memory(t: Tensor) -> bool:
    return t.layout == torch.strided and t.numel() > 0 and not t.is_meta


def _span(t: Tensor) -> tuple[int, int]:
    """The addresses of the first byte of a tensor, and of the first one behind it."""
    reach = sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True))
    return t.data_ptr(), t.data_ptr() + (reach + 1) * t.element_size()


def in_format_of(parameter: Tensor, view: Tensor) -> Tensor:
    """The view itself, or a copy in the parameter's channels_last format."""
    if parameter.dim() < 4:
        return view
    for dims, memory_format in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if (
            parameter.dim() == dims
            and not parameter.is_contiguous()
            and parameter.is_contiguous(memory_format=memory_format)
        ):
            return view.contiguous(memory_format=memory_format)
    return view
