"""Axes of a network's tensors that belong to the same neurons, by a symbolic trace.

A stream is the channel axis of an activation. Layers join their parameters' axes to the streams
before and behind them; sums join two streams into one. Streams that the trace cannot follow, and
those of inputs and outputs, are fixed: their neurons keep their places.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

LINEAR = (nn.Linear,)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BY_CHANNEL = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.PReLU)
POOLS = (
    nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.ZeroPad2d,
)  # fmt: skip
ALIKE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
)  # fmt: skip
ALIKE_FUNCTIONS = {
    F.relu, F.gelu, F.silu, F.tanh, F.leaky_relu, F.elu, F.dropout, torch.relu, torch.tanh,
    torch.sigmoid, F.relu6, F.softplus,
}  # fmt: skip
ALIKE_METHODS = {"relu", "relu_", "tanh", "sigmoid", "contiguous", "clone"}
POOL_FUNCTIONS = {F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.interpolate}
SUMS = {
    operator.add,
    operator.iadd,
    torch.add,
    operator.mul,
    operator.imul,
    torch.mul,
    operator.sub,
}
SUM_METHODS = {"add", "add_", "mul", "mul_"}
RESHAPES = {torch.flatten}
RESHAPE_METHODS = {"flatten", "view", "reshape"}


@dataclass(frozen=True)
class Place:
    """Axis of an activation that is a stream: each of its neurons has `block` entries in a row."""

    stream: int
    axis: int
    block: int = 1


@dataclass(frozen=True)
class TiedAxis:
    """Axis of a parameter or buffer that belongs to a stream."""

    name: str
    axis: int
    stream: int
    block: int = 1


@dataclass
class NeuronAxes:
    """Streams of a network: their sizes, which are fixed and why, and the axes that they tie.

    groups: stream -> the one that stands for it.
    """

    sizes: list[int] = field(default_factory=list)
    fixed: dict[int, str] = field(default_factory=dict)
    tied: set[TiedAxis] = field(default_factory=set)
    groups: list[int] = field(default_factory=list)

    def new(self, size: int, fixed: str = "") -> int:
        """Add a stream."""
        self.sizes.append(size)
        self.groups.append(len(self.groups))
        if fixed:
            self.fixed[len(self.groups) - 1] = fixed
        return len(self.groups) - 1

    def root(self, stream: int) -> int:
        """The stream that stands for this one."""
        while self.groups[stream] != stream:
            stream = self.groups[stream]
        return stream

    def join(self, one: int, other: int) -> None:
        """Make two streams one; those of different sizes are fixed."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return
        if self.sizes[a] != self.sizes[b]:
            self.fix(a, "it meets a stream of another size")
            self.fix(b, "it meets a stream of another size")
            return
        self.groups[b] = a
        if b in self.fixed:
            self.fixed.setdefault(a, self.fixed[b])

    def fix(self, stream: int, why: str) -> None:
        """Let the neurons of a stream keep their places."""
        self.fixed.setdefault(self.root(stream), why)

    @property
    def free(self) -> dict[int, list[TiedAxis]]:
        """Streams whose neurons may change places -> the axes that they tie, each once."""
        found: dict[int, set[TiedAxis]] = {}
        for axis in self.tied:
            root = self.root(axis.stream)
            if root not in self.fixed:
                found.setdefault(root, set()).add(TiedAxis(axis.name, axis.axis, root, axis.block))
        return {root: sorted(axes, key=lambda a: (a.name, a.axis)) for root, axes in
                sorted(found.items())}  # fmt: skip


def neuron_axes(model: nn.Module, x: Tensor) -> NeuronAxes:
    """Follow an input x (examples, ...) through a model in eval mode.

    Raises ValueError for a model that cannot be traced symbolically.
    """
    try:
        traced = fx.symbolic_trace(model)
        with torch.no_grad():
            ShapeProp(traced).propagate(x)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"The neurons of {type(model).__name__} cannot be matched: its forward cannot be "
            f"traced symbolically ({reason})."
        ) from None
    return _Follower(traced).axes


class _Follower:
    """Goes through the nodes in order; `places` has the stream of each activation."""

    def __init__(self, traced: fx.GraphModule):
        self.axes, self.modules = NeuronAxes(), dict(traced.named_modules())
        self.places: dict[fx.Node, Place | None] = {}
        self.read = {str(n.target) for n in traced.graph.nodes if n.op == "get_attr"}
        for node in traced.graph.nodes:
            self.places[node] = self._place(node)
        for axis in list(self.axes.tied):
            others = [a for a in self.axes.tied if a.name == axis.name and a.axis != axis.axis]
            if any(self.axes.root(a.stream) == self.axes.root(axis.stream) for a in others):
                self.axes.fix(axis.stream, f"{axis.name} has it before and behind")
            if axis.name in self.read:
                self.axes.fix(axis.stream, f"{axis.name} is used by itself, too")

    def _place(self, node: fx.Node) -> Place | None:
        if node.op in ("placeholder", "get_attr"):
            return self._ends(node, f"{node.target} is no activation")
        inputs = list(node.all_input_nodes)
        if node.op == "output":
            self._fix(inputs, "it is an output")
            return None
        first = self.places.get(inputs[0]) if inputs else None
        follow = self._rule(node)
        if follow is None or first is None:
            self._fix(inputs, f"{node.name} is not known to keep neurons apart")
            return self._ends(node, f"{node.name} made it")
        return follow(node, first)

    def _rule(self, node: fx.Node) -> Callable[[fx.Node, Place], Place | None] | None:
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            for kinds, rule in (
                (LINEAR, self._linear), (CONVOLUTIONS, self._convolution),
                (TRANSPOSED, self._transposed), (BY_CHANNEL, self._by_channel),
                ((nn.LayerNorm, nn.RMSNorm), self._layer_norm), (POOLS, self._pool),
                (ALIKE, _same), ((nn.Flatten,), self._reshape),
            ):  # fmt: skip
                if isinstance(module, kinds):
                    return rule
            return None
        target: Any = node.target
        functions = ((ALIKE_FUNCTIONS, _same), (POOL_FUNCTIONS, self._pool),
                     (SUMS, self._sum), (RESHAPES, self._reshape))  # fmt: skip
        methods = ((ALIKE_METHODS, _same), (SUM_METHODS, self._sum),
                   (RESHAPE_METHODS, self._reshape), ({"mean"}, self._mean))  # fmt: skip
        if node.op == "call_function" and target is torch.mean:
            return self._mean
        table: Any = functions if node.op == "call_function" else methods
        return next((rule for known, rule in table if target in known), None)

    # --- layers

    def _linear(self, node: fx.Node, given: Place) -> Place | None:
        return self._layer(node, given, _rank(node) - 1, inner=1, outer=0)

    def _convolution(self, node: fx.Node, given: Place) -> Place | None:
        module = self.modules[str(node.target)]
        if module.groups == 1:
            return self._layer(node, given, 1, inner=1, outer=0)
        if module.groups == module.in_channels == module.out_channels and given.axis == 1:
            self._tie(node, ("weight", "bias"), 0, given)
            return given
        self._fix(node.all_input_nodes, f"{node.target} is a grouped convolution")
        return self._ends(node, f"{node.target} is a grouped convolution")

    def _transposed(self, node: fx.Node, given: Place) -> Place | None:
        if self.modules[str(node.target)].groups == 1:
            return self._layer(node, given, 1, inner=0, outer=1)
        self._fix(node.all_input_nodes, f"{node.target} is a grouped convolution")
        return self._ends(node, f"{node.target} is a grouped convolution")

    def _layer(self, node: fx.Node, given: Place, axis: int, inner: int, outer: int) -> Place:
        """A layer that mixes the neurons at `axis`: its weight has them at `inner`."""
        out = _shape(node)[axis]
        if given.axis == axis:
            self._tie(node, ("weight",), inner, given)
        else:
            self.axes.fix(given.stream, f"{node.target} reads another axis")
        known = [a for a in self.axes.tied if a.name == f"{node.target}.weight" and a.axis == outer]
        stream = known[0].stream if known else self.axes.new(out)
        place = Place(stream, axis)
        self._tie(node, ("weight",), outer, place)
        self._tie(node, ("bias",), 0, place)
        return place

    def _by_channel(self, node: fx.Node, given: Place) -> Place | None:
        module = self.modules[str(node.target)]
        if isinstance(module, nn.PReLU) and module.num_parameters == 1:
            return given
        if given.axis != 1 or given.block != 1:
            self.axes.fix(given.stream, f"{node.target} works on another axis")
            return given
        names = ("weight", "bias", "running_mean", "running_var")
        self._tie(node, names, 0, given)
        return given

    def _layer_norm(self, node: fx.Node, given: Place) -> Place | None:
        module = self.modules[str(node.target)]
        whole = len(module.normalized_shape) == 1 and given.axis == _rank(node) - 1
        if not whole or given.block != 1:
            self.axes.fix(given.stream, f"{node.target} normalises more than its neurons")
            return given
        self._tie(node, ("weight", "bias"), 0, given)
        return given

    # --- activations

    def _pool(self, node: fx.Node, given: Place) -> Place | None:
        if given.axis != 1:
            self.axes.fix(given.stream, f"{node.name} works along it")
        return given

    def _sum(self, node: fx.Node, given: Place) -> Place | None:
        places = [place for n in node.all_input_nodes if (place := self.places[n]) is not None]
        for other in places[1:]:
            if (other.axis, other.block) != (given.axis, given.block):
                self.axes.fix(other.stream, f"{node.name} adds another axis")
                self.axes.fix(given.stream, f"{node.name} adds another axis")
            self.axes.join(given.stream, other.stream)
        return given

    def _mean(self, node: fx.Node, given: Place) -> Place | None:
        """A mean over places, not over the neurons; the axes that stay follow."""
        dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        rank = _rank(node.all_input_nodes[0])
        taken = {d % rank for d in (dims if isinstance(dims, tuple | list) else [dims])
                 if isinstance(d, int)}  # fmt: skip
        if not taken or given.axis in taken:
            self.axes.fix(given.stream, f"{node.name} averages it")
            return self._ends(node, f"{node.name} made it")
        kept = node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False)
        lower = 0 if kept else sum(d < given.axis for d in taken)
        return Place(given.stream, given.axis - lower, given.block)

    def _reshape(self, node: fx.Node, given: Place) -> Place | None:
        """(n, c, ...) -> (n, c · ...): each neuron has a block; shapes that stay are passed on."""
        before, after = _shape(node.all_input_nodes[0]), _shape(node)
        if before == after:
            return given
        flat = len(after) == 2 and after[0] == before[0] and given.axis == 1
        if not flat:
            self.axes.fix(given.stream, f"{node.name} reshapes it")
            return self._ends(node, f"{node.name} made it")
        return Place(given.stream, 1, given.block * after[1] // before[1])

    # --- helpers

    def _tie(self, node: fx.Node, names: tuple[str, ...], axis: int, place: Place) -> None:
        module = self.modules[str(node.target)]
        for name in names:
            if isinstance(getattr(module, name, None), Tensor):
                full = f"{node.target}.{name}"
                for known in [a for a in self.axes.tied if (a.name, a.axis) == (full, axis)]:
                    self.axes.join(known.stream, place.stream)
                    if known.block != place.block:
                        self.axes.fix(place.stream, f"{full} is used in two ways")
                self.axes.tied.add(TiedAxis(full, axis, place.stream, place.block))

    def _fix(self, nodes: list[fx.Node], why: str) -> None:
        for node in nodes:
            place = self.places.get(node)
            if place is not None:
                self.axes.fix(place.stream, why)

    def _ends(self, node: fx.Node, why: str) -> Place | None:
        """A fixed stream for what a node makes, where it makes one tensor."""
        meta = node.meta.get("tensor_meta")
        shape = getattr(meta, "shape", None)
        if shape is None or len(shape) < 2:
            return None
        axis = 1 if len(shape) != 3 else 2
        return Place(self.axes.new(shape[axis], why), axis)


def _same(_: fx.Node, given: Place) -> Place | None:
    return given


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape)


def _rank(node: fx.Node) -> int:
    return len(_shape(node))
