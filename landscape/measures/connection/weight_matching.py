"""Weight matching: permute the hidden neurons of one network to those of another.

Ainsworth, Hayase & Srinivasa, ICLR 2023 (arXiv 2209.04836), algorithm 1.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.measures.connection.neuron_axes import NeuronAxes, TiedAxis, neuron_axes
from landscape.network import batch_norm as bn
from landscape.network.batch import tensors
from landscape.objective.objective import Objective
from landscape.utils.rng import seed_of

GAIN = 1e-12  # of a round, below which it is the last
SAME = 1e-12  # relative difference of the outputs before and after, in float64
Tensors = Mapping[str, Tensor]
Permutations = Mapping[int, Tensor]


@dataclass(frozen=True)
class WeightMatching:
    """Maximise Σ over tensors ⟨A, π(B)⟩, π one permutation for each stream of neurons.

    Coordinate ascent: in a random order, an assignment problem for each stream, the others as they
    stand, until a round gains no more. It never falls and ends at a local optimum; with one hidden
    layer at the best one. No pass over the data.

    Residual streams have one permutation for a whole stage; flattened images move in blocks.
    Inputs, outputs, grouped convolutions, attention, embeddings, recurrent layers and whatever a
    symbolic trace does not tie stay as they are. The permuted network is the same function, checked
    in float64 in both modes; else it is refused.

    orders: random orders of the streams; the best one is kept.
    seed: of the orders.
    """

    orders: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.orders < 1:
            raise ValueError(f"`orders` must be at least 1. Got {self.orders}.")

    def matched(self, objective: Objective, end: Tensor) -> Tensor:
        """The point `end` (n,) with its neurons permuted to those of the objective's w.

        Raises ValueError for a model that cannot be traced symbolically or has no hidden stream,
        for an input that is no tensor, and where the permuted network is another function.
        """
        x = objective.given[0].x
        if not isinstance(x, Tensor):
            x = next(iter(tensors(x)), None)
        if not isinstance(x, Tensor) or x is not objective.given[0].x:
            raise ValueError("Neurons are matched for models of one input tensor.")
        model = copy.deepcopy(objective.model).double().eval()
        x = x[:8].double() if x.is_floating_point() else x[:8]
        axes = neuron_axes(model, x)
        _keep_what_cannot_move(axes, model, set(objective.weights.shapes))
        if not axes.free:
            reasons = "; ".join(sorted(set(axes.fixed.values())))
            raise ValueError(f"No neurons of this network can change places: {reasons}.")
        a, b = (_named(objective, model, w) for w in (objective.w, end))
        permutations = self.permutations(axes, a, b)
        permuted = {name: permute(t, axes_of(axes, name), permutations) for name, t in b.items()}
        _check_function(model, axes, b, permutations, x)
        return torch.cat([permuted[name].flatten() for name in objective.weights.shapes]).to(end)

    def permutations(self, axes: NeuronAxes, a: Tensors, b: Tensors) -> Permutations:
        """The best permutation of each free stream: place -> the old place, (size,)."""
        best, highest = None, -float("inf")
        for order in range(self.orders):
            generator = torch.Generator().manual_seed(seed_of(self.seed, "matching", order))
            found, value = _ascent(axes, a, b, generator)
            if value > highest:
                best, highest = found, value
        assert best is not None
        return best


def _ascent(
    axes: NeuronAxes, a: Tensors, b: Tensors, generator: torch.Generator
) -> tuple[Permutations, float]:
    """Permutations and the value that they reach."""
    from scipy.optimize import linear_sum_assignment

    free = {s: [x for x in tied if x.name in a] for s, tied in axes.free.items()}
    streams = [stream for stream, tied in free.items() if tied]
    permutations = {s: torch.arange(axes.sizes[s]) for s in streams}
    gained = float("inf")
    while gained > GAIN:
        gained = 0.0
        for i in torch.randperm(len(streams), generator=generator).tolist():
            stream = streams[i]
            likeness = _likeness(axes, a, b, stream, free[stream], permutations)
            rows, columns = linear_sum_assignment(likeness.numpy(), maximize=True)
            before = likeness[torch.arange(len(likeness)), permutations[stream]].sum()
            gained += float(likeness[rows, columns].sum() - before)
            permutations[stream] = torch.as_tensor(columns)
    value = sum(
        float((t * permute(b[name], axes_of(axes, name), permutations)).sum())
        for name, t in a.items()
    )
    return permutations, value


def _likeness(
    axes: NeuronAxes,
    a: Tensors,
    b: Tensors,
    stream: int,
    tied: Sequence[TiedAxis],
    permutations: Permutations,
) -> Tensor:
    """Σ over the stream's axes of A Bᵀ, neuron by neuron, B permuted along its other axes."""
    size = axes.sizes[stream]
    total = torch.zeros(size, size, dtype=torch.float64)
    for axis in tied:
        others = [x for x in axes_of(axes, axis.name) if x.axis != axis.axis]
        mine, theirs = a[axis.name], permute(b[axis.name], others, permutations)
        rows = [t.movedim(axis.axis, 0).reshape(size, -1).double() for t in (mine, theirs)]
        total += (rows[0] @ rows[1].T).cpu()
    return total


def axes_of(axes: NeuronAxes, name: str) -> list[TiedAxis]:
    """The axes of a tensor that belong to free streams."""
    return [axis for tied in axes.free.values() for axis in tied if axis.name == name]


def permute(t: Tensor, axes: Sequence[TiedAxis], permutations: Permutations) -> Tensor:
    """Permute a tensor along some axes: new neuron i is the old neuron π(i)."""
    for axis in axes:
        if axis.stream in permutations:
            order = permutations[axis.stream].to(t.device)
            places = order[:, None] * axis.block + torch.arange(axis.block, device=t.device)
            t = t.index_select(axis.axis, places.flatten())
    return t


def _keep_what_cannot_move(axes: NeuronAxes, model: nn.Module, moves: set[str]) -> None:
    """Fix the streams of parameters outside w, and of those that stand in two places."""
    names: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    for aliases in names.values():
        if len(aliases) > 1:
            why = f"{aliases[0]} is used in two places"
        elif aliases[0] not in moves:
            why = f"{aliases[0]} is none of the parameters that move"
        else:
            continue
        for axis in [a for a in axes.tied if a.name in aliases]:
            axes.fix(axis.stream, why)


def _named(objective: Objective, model: nn.Module, w: Tensor) -> dict[str, Tensor]:
    """The point w by the parameters' names, in float64; frozen parameters as they stand."""
    found = {name: p.detach() for name, p in model.named_parameters()}
    shapes = objective.weights.shapes
    parts = w.double().split([shape.numel() for shape in shapes.values()])
    return found | {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def _check_function(
    model: nn.Module, axes: NeuronAxes, b: Tensors, permutations: Permutations, x: Tensor
) -> None:
    """Refuse a permutation that changes the function, with stored or with batch statistics.

    Running statistics move with their neurons. Nothing is dropped out.
    """
    state = {**b, **dict(model.named_buffers())}
    moved = {name: permute(t, axes_of(axes, name), permutations) for name, t in state.items()}
    for training in (False, True):
        outputs = []
        for values in (state, moved):
            twin = copy.deepcopy(model)
            twin.load_state_dict(values, strict=False)
            for norm in bn.layers(twin):
                norm.train(training)
            with torch.no_grad():
                outputs.append([t for t in tensors(twin(x)) if t.is_floating_point()])
        for one, other in zip(*outputs, strict=True):
            apart = float((one - other).abs().max() / one.abs().max().clamp(min=1e-300))
            if not apart <= SAME:
                raise ValueError(
                    f"The permuted network is another function: its outputs differ by {apart:.1g} "
                    "of their size. Its neurons cannot be matched."
                )
