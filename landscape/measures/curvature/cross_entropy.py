"""Softmax cross-entropy as a function of its logits: its Hessian in closed form.

H u = s (p∘u − p (p·u)) for each example, p = softmax(z), s its weight in the loss. Nothing is
differentiated: the graph of the loss, several tensors as large as the logits, is not needed.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from landscape.network.graph_leaves import graph_leaves
from landscape.objective.derivative import total
from landscape.objective.empirical_risk import EmpiricalRisk, Terms

SIGNATURE = inspect.signature(F.cross_entropy)
AFFINE = {
    f"{name}Backward0"
    for name in (
        "Add", "Alias", "Cat", "Clone", "Expand", "Index", "IndexSelect", "Permute", "Select",
        "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "Sub", "T", "ToCopy", "Transpose",
        "Unbind", "UnsafeView", "Unsqueeze", "View",
    )
} | {"SqueezeBackward1", "AsStridedBackward0"}  # fmt: skip
SCALED = {"MulBackward0": 2, "DivBackward0": 1}  # affine in these first arguments, one at a time
Edge = tuple[Any, int]  # of a graph: a node and the number of its output


class CrossEntropy:
    """Call of F.cross_entropy whose value v is a leaf from here on.

    value: (), or one for each example. logits: (n, classes, ...) or (classes,); their graph is kept
    by `edge`, and they themselves only until `hessian` has made probabilities of them.
    """

    def __init__(self, value: Tensor, arguments: Mapping[str, Any]):
        self.value, self.arguments = value, arguments
        self.logits: Tensor = arguments["input"]
        self.edge = get_gradient_edge(self.logits)
        self.axis = 1 if self.logits.dim() > 1 else 0

    @property
    def is_known(self) -> bool:
        """Only the logits have a graph, and no argument is deprecated."""
        target, weight = self.arguments["target"], self.arguments["weight"]
        old = self.arguments["size_average"], self.arguments["reduce"]
        constant = not any(t is not None and t.requires_grad for t in (target, weight))
        return constant and old == (None, None)

    def hessian(self, slope: Tensor) -> "SoftmaxHessian":
        """slope · ∇²v by the logits; slope: (), or one for each example."""
        p = self.logits.detach().softmax(self.axis)
        weights = (slope.detach() * self._weights()).to(p).unsqueeze(self.axis)
        return SoftmaxHessian(self.edge, p, weights, self.axis)

    def _weights(self) -> Tensor:
        """The weight of each example's log-probabilities in v, (n, ...)."""
        z, y, smooth = (self.arguments[key] for key in ("input", "target", "label_smoothing"))
        given, classes = self.arguments["weight"], z.shape[self.axis]
        by_class = z.new_ones(classes) if given is None else given.detach().to(z)
        if y.shape == z.shape:  # probabilities
            q = y.to(z) * (1 - smooth) + smooth / classes
            weights = (q.movedim(self.axis, -1) * by_class).sum(-1)
            count: Tensor | int = weights.numel()
        else:
            counted = y != self.arguments["ignore_index"]
            of_target = by_class[y.where(counted, 0)] * counted
            count = of_target.sum()
            weights = (1 - smooth) * of_target + smooth * by_class.mean() * counted
        return weights / count if self.arguments["reduction"] == "mean" else weights


@dataclass(frozen=True)
class SoftmaxHessian:
    """The Hessian of a loss by logits z: u ↦ s (p∘u − p (p·u)), u like z.

    edge: of z in its graph; p: softmax(z), like z; s: the weight of each example, 1 on `axis`.
    """

    edge: GradientEdge
    p: Tensor
    s: Tensor
    axis: int

    def __call__(self, u: Tensor) -> Tensor:
        """The product with u."""
        pu = self.p * u
        return self.s * (pu - self.p * pu.sum(self.axis, keepdim=True))


def softmax_hessians(risk: EmpiricalRisk, terms: Terms) -> list[SoftmaxHessian] | None:
    """The Hessian of the loss of some terms by the logits of each of its calls of F.cross_entropy.

    None where the loss is not linear in the values of such calls alone, or their logits are not
    affine in what the model returns: seen from there, the Hessian would be another.
    """
    with _returned(risk.model) as calls, _Recorded() as recorded:
        loss = total(risk.losses(terms))
    found = recorded.calls
    ends = {edge for edges in calls for edge in edges}
    if len(calls) != len(terms) or not found or not loss.requires_grad:
        return None
    if not all(call.is_known and _is_affine(call.logits, ends) for call in found):
        return None
    values = [call.value for call in found]
    if not {id(leaf) for leaf in graph_leaves(loss)} <= {id(value) for value in values}:
        return None
    slopes = torch.autograd.grad(loss, values, create_graph=True, materialize_grads=True)
    if any(slope.requires_grad for slope in slopes):
        return None
    return [call.hessian(slope) for call, slope in zip(found, slopes, strict=True)]


class _Recorded(TorchFunctionMode):
    """While open, calls of F.cross_entropy are noted, and answer with a leaf."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[CrossEntropy] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        if func is not F.cross_entropy or not value.requires_grad:
            return value
        try:
            leaf = value.detach().requires_grad_()
        except RuntimeError:  # inside of torch.func
            return value
        bound = SIGNATURE.bind(*args, **(kwargs or {}))
        bound.apply_defaults()
        self.calls.append(CrossEntropy(leaf, bound.arguments))
        return leaf


@contextmanager
def _returned(model: nn.Module) -> Iterator[list[set[Edge]]]:
    """While open, the edges of what the model returns are noted, call by call."""
    calls: list[set[Edge]] = []

    def note(_module: nn.Module, _inputs: Any, answer: Any) -> None:
        tensors = (t for t in tree_leaves(answer) if isinstance(t, Tensor) and t.requires_grad)
        calls.append({(t.grad_fn, t.output_nr) for t in tensors})

    handle = model.register_forward_hook(note)
    try:
        yield calls
    finally:
        handle.remove()


def _is_affine(z: Tensor, ends: set[Edge]) -> bool:
    """Test whether z is computed from the tensors at `ends` by affine operations alone."""
    todo: list[Edge] = [(z.grad_fn, z.output_nr)]
    seen = set(ends)
    while todo:
        edge = todo.pop()
        if edge in seen:
            continue
        seen.add(edge)
        node, name = edge[0], edge[0].name()
        before = [(index, e) for index, e in enumerate(node.next_functions) if e[0] is not None]
        scaled = name in SCALED and len(before) == 1 and before[0][0] < SCALED[name]
        if name not in AFFINE and not scaled:
            return False
        todo += [e for _, e in before]
    return True
