"""Weights in shards on several processes, gathered block by block.

The weights are DTensors. Each block gathers its own inside of a non-reentrant checkpoint, so that
they are there whole for one block at a time, and torch differentiates through the gathering, twice.
"""

import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor
from torch.utils.checkpoint import checkpoint

UNDER_FSDP = (
    "The network is under fully_shard or holds DTensors, whose gathering torch cannot "
    "differentiate twice. Give ls.sharded a plain network with the same weights: "
    "get_model_state_dict(model, options=StateDictOptions(full_state_dict=True)) of "
    "torch.distributed.checkpoint.state_dict."
)


class Sharded:
    """A network and its weights in shards, as `sharded` makes it.

    names, shapes: of the trainable parameters in order; n: their number in all; local: how many of
    them are here. shards: one (·,) for each; frozen: of the others, by position after them.
    """

    def __init__(self, model: nn.Module, mesh: DeviceMesh, blocks: str):
        self.model, self.mesh = model, mesh
        self.device = torch.device(mesh.device_type)
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        frozen = {name: p for name, p in model.named_parameters() if not p.requires_grad}
        _check(model, mesh, list(parameters.values()))
        self.names = tuple(parameters)
        every = [*parameters.values(), *frozen.values()]
        self.shapes = [p.shape for p in every]
        position = {id(p): i for i, p in enumerate(every)}
        self._owners = {
            module: [
                (key, position[id(p)]) for key, p in module._parameters.items() if p is not None
            ]
            for module in model.modules()
        }
        self.units = _units(model, blocks)
        self._gathered: dict[int, tuple[weakref.ref[Any], int]] = {}
        dtensors = [distribute_tensor(p.detach().reshape(-1), mesh, [Shard(0)]) for p in every]
        self.specs = [(t.shape, t.stride()) for t in dtensors]
        self.shards = [t.to_local().clone() for t in dtensors]
        self.n = sum(p.numel() for p in parameters.values())
        self.local = sum(t.numel() for t in self.shards[: len(self.names)])
        for module, owned in self._owners.items():
            for key, i in owned:
                empty = torch.empty(self.shapes[i], device="meta", dtype=self.shards[i].dtype)
                module._parameters[key] = nn.Parameter(empty, requires_grad=i < len(self.names))
        for module in model.modules():
            for key, buffer in module._buffers.items():
                module._buffers[key] = None if buffer is None else buffer.to(self.device)

    def leaves(self, w: Sequence[Tensor], grad: bool) -> list[DTensor]:
        """Shards of the trainable parameters as leaves of a graph, then the frozen ones."""
        held = [*w, *self.shards[len(self.names) :]]
        leaves = [self.as_dtensor(i, t) for i, t in enumerate(held)]
        for leaf in leaves[: len(self.names)]:
            leaf.requires_grad_(grad)
        return leaves

    def as_dtensor(self, i: int, shard: Tensor) -> DTensor:
        """A shard of the i-th parameter as the whole (numel,) that it belongs to."""
        shape, stride = self.specs[i]
        return DTensor.from_local(
            shard.detach(), self.mesh, [Shard(0)], run_check=False, shape=shape, stride=stride
        )

    @contextmanager
    def standing_at(self, leaves: Sequence[DTensor]) -> Iterator[None]:
        """While open, each block gathers its weights from these leaves when it runs."""
        with ExitStack() as stack:
            for unit, members in self.units:
                run = partial(self._run, members, unit.forward, leaves)
                stack.callback(_restore_forward, unit, vars(unit).get("forward"))
                unit.forward = partial(checkpoint, run, use_reentrant=False)
            stack.callback(self._gathered.clear)
            yield

    def regathering(self, leaves: Sequence[DTensor]) -> Any:
        """While open, graphs keep no gathered weights, but gather them again when they are used: a
        gradient with a graph would else hold all weights whole.
        """

        def pack(t: Tensor) -> Any:
            storage = t.untyped_storage()
            known, i = self._gathered.get(storage.data_ptr(), (None, 0))
            if known is None or known() is not storage:
                return t.detach()  # an output itself would keep its graph alive for ever
            return i, t.size(), t.stride(), t.storage_offset()

        def unpack(packed: Any) -> Tensor:
            if isinstance(packed, Tensor):
                return packed
            i, size, stride, offset = packed
            return leaves[i].detach().full_tensor().as_strided(size, stride, offset)

        return torch.autograd.graph.saved_tensors_hooks(pack, unpack)

    def _run(
        self,
        members: Sequence[nn.Module],
        forward: Callable[..., Any],
        leaves: Sequence[DTensor],
        *args: Any,
        **named: Any,
    ) -> Any:
        """Run a unit's forward with its members' weights gathered; afterwards they are gone."""
        whole: dict[int, Tensor] = {}
        kept = []
        try:
            for module in members:
                for key, i in self._owners[module]:
                    if i not in whole:
                        full = leaves[i].full_tensor(grad_placements=[Partial()])
                        storage = full.untyped_storage()
                        self._gathered[storage.data_ptr()] = weakref.ref(storage), i
                        whole[i] = full.view(self.shapes[i])
                    kept.append((module, key, module._parameters[key]))
                    module._parameters[key] = whole[i]  # type: ignore[assignment]
            return forward(*args, **named)
        finally:
            for module, key, p in reversed(kept):
                module._parameters[key] = p


def sharded(model: nn.Module, mesh: DeviceMesh, *, blocks: str = "") -> Sharded:
    """Split a network's weights over the processes of a mesh, for `ShardedObjective`.

    model: plain, in float32 or float64, the same architecture on every process; the weights are
    those of the mesh's first. It is changed: it holds no weights afterwards.
    mesh: of one dimension, `init_device_mesh("cuda", (world_size,))`.
    blocks: a regular expression of the names of modules whose weights are gathered together; by
    default the items of each nn.ModuleList. What lies outside is gathered module by module.

    Raises ValueError for networks under `fully_shard`, other dtypes and meshes, and for blocks that
    match no module.
    """
    return Sharded(model, mesh, blocks)


def _check(model: nn.Module, mesh: DeviceMesh, trainable: Sequence[nn.Parameter]) -> None:
    if any(isinstance(p, DTensor) for p in model.parameters()):
        raise ValueError(UNDER_FSDP)
    if mesh.ndim != 1:
        raise ValueError(f"`mesh` must have one dimension. Got {mesh.ndim}.")
    if not trainable:
        raise ValueError(
            "The model has no trainable parameters. Set requires_grad=True on at least one."
        )
    dtypes = sorted({str(p.dtype) for p in trainable})
    if len(dtypes) > 1 or trainable[0].dtype not in (torch.float32, torch.float64):
        raise ValueError(
            "A sharded network must be in float32 or in float64: call model.float() first. "
            f"Got {', '.join(dtypes)}."
        )


def _restore_forward(module: nn.Module, own: Any) -> None:
    del module.forward
    if own is not None:
        module.forward = own


def _units(model: nn.Module, blocks: str) -> list[tuple[nn.Module, list[nn.Module]]]:
    """Modules whose forward gathers weights, with the modules whose weights these are: blocks with
    all inside, and each other module that has weights with itself.
    """
    named = {name: m for name, m in model.named_modules() if name}
    if blocks:
        chosen = [m for name, m in named.items() if re.fullmatch(blocks, name)]
        if not chosen:
            raise ValueError(
                f"`blocks` must match the name of a module. Got {blocks!r}; the names are "
                f"{', '.join(list(named)[:5])}."
            )
    else:
        lists = [m for m in named.values() if isinstance(m, nn.ModuleList)]
        chosen = [item for items in lists for item in items]
    units: list[tuple[nn.Module, list[nn.Module]]] = []
    inside: set[nn.Module] = set()
    for module in chosen:  # outermost first
        if module not in inside:
            units.append((module, list(module.modules())))
            inside |= set(module.modules())
    others = [m for m in model.modules() if m not in inside and m._parameters]
    return units + [(module, [module]) for module in others]
