"""The parameters that a loss depends on, followed by its operations and by its graph.

Parameters of the model that were taken outside of it stay where they are when a measure moves the
weights; a loss that uses them, or none of those inside, would give a wrong number without a word.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from landscape.network.batch import Batch
from landscape.network.higher_order import nodes_of
from landscape.network.module_state import plain_attributes
from landscape.objective.derivative import WRITTEN
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.utils.memory import ran_out

CAPTURED = (
    "The loss uses parameters of the model that were taken outside of it: {}. Measures move the "
    "weights inside the model, so this loss would not follow. Take them from the model that the "
    "loss is given (model.parameters(), model.layer.weight); clone() what is meant as a constant."
)
UNREACHED = (
    "The loss does not depend on the model's weights. Compute it with the model that the loss is "
    "given, not with a copy of it or with stored outputs."
)
CUT = (
    "The loss has no gradient: its graph does not reach the model's weights. Remove detach(), "
    ".item(), argmax or torch.no_grad() between the model's output and the loss."
)
TWO_FUNCTIONS = (
    "The loss is {:.6g} where gradients of the weights are recorded, and {:.6g} where they are "
    "not, so values and derivatives would be of two functions. Look for requires_grad or "
    "is_grad_enabled in the model or loss."
)


def check_graph(risk: EmpiricalRisk, batches: Sequence[Batch]) -> None:
    """Follow the loss to the parameters that it depends on, by its operations and its graph: on
    the first batch, and on others only while it reaches none.

    Raises ValueError where they lie outside of the model, or where there are none.
    """
    reads = False
    for batch in batches:
        value, captured, inside = _watched(risk, batch)
        if captured:
            raise ValueError(CAPTURED.format(listed(captured)))
        reads = reads or inside
        if risk.no_derivatives or _reaches(risk, batch, value):
            return
    if not reads:
        raise ValueError(UNREACHED)
    risk.no_derivatives = CUT


def _reaches(risk: EmpiricalRisk, batch: Batch, value: Tensor) -> bool:
    """Tell whether a batch's loss, of this value, has a graph to w, or a known reason for none."""
    leaf = risk.w.clone().requires_grad_()
    try:
        with risk.opened(leaf):
            loss = risk.batch_loss(batch)
    except RuntimeError as error:  # only where gradients are recorded: values are there
        if ran_out(error):
            raise
        in_place = "in-place" in str(error) or "inplace" in str(error)
        risk.no_derivatives = WRITTEN if in_place else f"The loss has no gradient: {error}"
        return True
    leaves = {id(node.variable) for node in nodes_of(loss) if hasattr(node, "variable")}
    named = zip(risk.weights.names, risk.weights.parameters, strict=True)
    if captured := [name for name, p in named if id(p) in leaves]:
        raise ValueError(CAPTURED.format(listed(captured)))
    if not torch.equal(leaf.detach(), risk.w):
        risk.no_derivatives = WRITTEN
    elif not torch.isclose(loss.detach(), value, rtol=1e-4, atol=0.0, equal_nan=True):
        risk.no_derivatives = TWO_FUNCTIONS.format(loss.item(), value.item())
    return id(leaf) in leaves


class _Reads(TorchDispatchMode):
    """Records which of some storages operations read, by name; `like` is no reading."""

    def __init__(self, names: dict[int, str]):
        super().__init__()
        self.names, self.read = names, set[str]()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler, which takes seconds: passes run eagerly."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        name = func._schema.name.rpartition("::")[2]
        views = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        if not views and not name.endswith("_like") and not name.startswith("new_"):
            for t in tree_leaves((args, kwargs)):
                if _is_strided(t):
                    storage = t.untyped_storage().data_ptr()
                    self.read |= {self.names[storage]} if storage in self.names else set()
        return func(*args, **kwargs)


def _watched(risk: EmpiricalRisk, batch: Batch) -> tuple[Tensor, list[str], bool]:
    """A batch's loss, the parameters outside of the model that it reads, and whether it reads any
    of those inside.
    """
    outside = {
        p.untyped_storage().data_ptr(): name
        for name, p in zip(risk.weights.names, risk.weights.parameters, strict=True)
        if p.numel()  # all empty tensors lie at one address
    }
    attributes = [(vars(m), plain_attributes(vars(m))) for m in risk.model.modules()]
    with risk.opened(risk.w):
        inside = {
            p.untyped_storage().data_ptr(): ""
            for name, p in risk.model.named_parameters()
            if name in risk.weights.shapes and p.numel()
        }
        for now, before in attributes:  # a pass works on copies of what attributes hold
            outside |= _copies(list(before.values()), [now.get(key) for key in before], outside)
        with _Reads(outside | inside) as reads:
            loss = risk.batch_loss(batch).detach()
    return loss, sorted(reads.read - {""}), "" in reads.read


def _copies(before: list[Any], now: list[Any], names: dict[int, str]) -> dict[int, str]:
    """The storages of copies of tensors in named storages, with the name."""
    pairs = zip(tree_leaves(before), tree_leaves(now), strict=False)
    tensors = [(old, new) for old, new in pairs if _is_strided(old) and _is_strided(new)]
    return {
        new.untyped_storage().data_ptr(): names[old.untyped_storage().data_ptr()]
        for old, new in tensors
        if old.untyped_storage().data_ptr() in names and not isinstance(new, nn.Parameter)
    }


def _is_strided(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided


def listed(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more
