"""Loss, gradient and dense Hessian of a case in plain torch: weights are written into a model of
its own, losses are differentiated with respect to its parameters.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from differential.case import Case

HELD = ("_parameters", "_modules", "_buffers")


def batch_of(item: Any) -> SimpleNamespace:
    """x and y of what a loader yields."""
    if isinstance(item, Mapping):
        return SimpleNamespace(x=dict(item), y=item["labels"])
    x, y = item if isinstance(item, tuple) else (item.x, item.y)
    return SimpleNamespace(x=x, y=y)


def rows(tree: Any, cut: slice) -> Any:
    """Some of the examples."""
    if isinstance(tree, Tensor):
        return tree[cut]
    if isinstance(tree, PackedSequence):
        return pack_sequence(unpack_sequence(tree)[cut], enforce_sorted=False)
    if isinstance(tree, dict):
        return {key: rows(value, cut) for key, value in tree.items()}
    items = [rows(value, cut) for value in tree]
    return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)


def counts(tree: Any) -> Iterator[int]:
    """The number of examples, for each tensor."""
    if isinstance(tree, Tensor):
        yield len(tree)
    elif isinstance(tree, PackedSequence):
        yield int(tree.batch_sizes[0])
    else:
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from counts(value)


def state_of(model: nn.Module) -> list[Any]:
    """Buffers and plain attributes of every module."""
    return [
        (
            {k: v for k, v in vars(m).items() if k not in HELD},
            {k: None if b is None else b.clone() for k, b in m._buffers.items()},
        )
        for m in model.modules()
    ]


def restore(model: nn.Module, state: list[Any]) -> None:
    """Put a state back."""
    for m, (attributes, buffers) in zip(model.modules(), state, strict=True):
        vars(m).update(attributes)
        m._buffers.update({k: None if b is None else b.clone() for k, b in buffers.items()})


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Attention in elementary operations, which have every derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def exact(case: Case) -> Case:
    """The case without what makes torch's gradient of an embedding another one than the loss's."""
    for module in case.model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
    return case


class Reference:
    """A case of its own, made anew: its model is written to.

    w (n,) is the point; loss, gradient and Hessian at any point (n,).
    """

    def __init__(self, case: Case):
        self.case, self.model = case, case.model
        for module in self.model.modules():
            module.training = case.batch_norm == "batch" and isinstance(
                module, nn.modules.batchnorm._BatchNorm
            )
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        self.batches = [batch_of(item) for item in case.batches]
        weights = case.weights or [float(len(b.x)) for b in self.batches]
        self.weights, self.shares = weights, [x / sum(weights) for x in weights]
        self.w = torch.cat([p.detach().flatten() for p in self.parameters])
        self.state = state_of(self.model)

    def parts(self, w: Tensor) -> list[Tensor]:
        """A vector (n,) by parameter."""
        sizes = [p.numel() for p in self.parameters]
        return [v.view(p.shape) for v, p in zip(w.split(sizes), self.parameters, strict=True)]

    def losses(self, w: Tensor) -> list[Tensor]:
        """The loss of each batch at a point, with a graph to the parameters."""
        restore(self.model, self.state)
        for p, v in zip(self.parameters, self.parts(w), strict=True):
            p.data = v.clone()
        batches = copy.deepcopy(self.batches)
        with plain_kernels():
            if self.case.reference is not None:
                return self.case.reference(self.model, batches)
            return [self.case.loss(self.model, b) for b in batches]

    def loss(self, w: Tensor) -> Tensor:
        """L at a point, with a graph to the parameters."""
        return sum(s * v for s, v in zip(self.shares, self.losses(w), strict=True))

    def value(self, w: Tensor) -> float:
        """L at a point."""
        return self.loss(w).item()

    def flat(self, loss: Tensor, graph: bool = False) -> Tensor:
        """Gradient (n,) of a loss by the parameters; zero where it does not depend on them."""
        g = torch.autograd.grad(loss, self.parameters, create_graph=graph, allow_unused=True)
        pairs = zip(g, self.parameters, strict=True)
        return torch.cat([(torch.zeros_like(p) if a is None else a).flatten() for a, p in pairs])

    def gradient(self, w: Tensor) -> Tensor:
        """∇L at a point, (n,)."""
        return self.flat(self.loss(w))

    @cached_property
    def hessian(self) -> Tensor:
        """∇²L at w, (n, n), row by row."""
        if self.case.differences:
            steps = 1e-5 * torch.eye(len(self.w))
            rows = [self.gradient(self.w + e) - self.gradient(self.w - e) for e in steps]
            return torch.stack(rows) / 2e-5
        g = self.flat(self.loss(self.w), graph=True)
        rows = []
        for x in g:
            row = torch.autograd.grad(x, self.parameters, retain_graph=True, allow_unused=True)
            pairs = zip(row, self.parameters, strict=True)
            rows.append(
                torch.cat([(torch.zeros_like(p) if a is None else a).flatten() for a, p in pairs])
            )
        return torch.stack(rows)

    def accuracy(self) -> float:
        """Share of the labels that are classes which the largest logit names, at w."""
        self.losses(self.w)  # writes w
        restore(self.model, self.state)
        right = counted = 0
        for b in copy.deepcopy(self.batches):
            z = self.case.logits(self.model, b).detach()  # type: ignore[misc]
            for row, label in zip(z.reshape(-1, z.shape[-1]), b.y.flatten().tolist(), strict=True):
                if 0 <= label < z.shape[-1]:
                    counted += 1
                    right += int(row.argmax()) == label
        return right / counted

    def last_linear(self) -> str | None:
        """The name of the nn.Linear that is called last."""
        called: list[str] = []
        hooks = [
            m.register_forward_hook(lambda *_, n=n: called.append(n))
            for n, m in self.model.named_modules()
            if isinstance(m, nn.Linear)
        ]
        self.case.loss(self.model, copy.deepcopy(self.batches[0]))
        for hook in hooks:
            hook.remove()
        return called[-1] if called else None

    def filters(self) -> list[Tensor]:
        """The coordinates of w that each filter consists of."""
        found, start = [], 0
        for name, p in zip(self.names, self.parameters, strict=True):
            numbers = self.case.filters.get(name)
            if numbers is None and p.dim() > 1 and name not in self.case.no_filters:
                numbers = torch.arange(len(p)).repeat_interleave(p.numel() // len(p))
            if numbers is not None:
                flat = numbers.flatten()
                found += [start + (flat == i).nonzero()[:, 0] for i in flat.unique()]
            start += p.numel()
        return found

    def tensors(self) -> list[Tensor]:
        """The coordinates of each parameter that has filters."""
        in_filter = torch.zeros(len(self.w), dtype=torch.bool)
        for part in self.filters():
            in_filter[part] = True
        places = torch.arange(len(self.w)).split([p.numel() for p in self.parameters])
        return [place for place in places if bool(in_filter[place].any())]
