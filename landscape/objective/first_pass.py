"""The first passes of an objective: is the loss one function of w, and has it derivatives?"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from landscape.network import batch_norm, modes
from landscape.network.batch import Batch
from landscape.network.higher_order import REENTRANT_REFUSAL, reentrant_checkpoints_heard
from landscape.network.isolation import modes_of, set_modes, snapshot
from landscape.network.outside_modules import outside_buffers_kept
from landscape.objective.data import fingerprint_of
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.objective.loss_graph import check_graph, listed
from landscape.objective.reduction import check_reduction, sample
from landscape.objective.true_gradient import reason_against
from landscape.utils.rng import generator_states


def check(risk: EmpiricalRisk) -> None:
    """Refuse what no measure could be right on; note in the risk why it has no derivatives.

    Compares two passes over the first batch: dropout left on, or any other source of randomness,
    would make every curvature wrong.
    Raises ValueError for weights that are not finite, where the passes differ, where eval mode by
    flags is not the model's own, for a loss of parameters outside of the model or of none, and for
    a sum over batches of unequal size.
    """
    refuse_other_models(risk)
    local = risk.alone()
    _check(local)
    risk.differentiates = risk.ranks.any(local.differentiates)
    reasons = risk.ranks.gather(local.no_derivatives)
    risk.no_derivatives = next(filter(None, reasons), "")


def _check(risk: EmpiricalRisk) -> None:
    refuse_non_finite(risk)
    drawn: set[str] = set()

    def answer(seed: int) -> Tensor:
        with risk.opened(risk.w, seed), _watched(drawn, risk.device):
            return risk.batch_loss(risk.batches[0]).detach()

    def first_answer() -> Tensor | None:
        try:
            return answer(1)
        except RuntimeError as error:  # a loss that takes derivatives needs a graph of the weights
            if "does not require grad" not in str(error):
                raise
            risk.differentiates = True
            return None

    def alike(one: Tensor, other: Tensor) -> bool:
        return torch.isclose(one, other, rtol=1e-4, atol=0.0, equal_nan=True).item() is True

    with reentrant_checkpoints_heard() as warned:
        with outside_buffers_kept(risk.model) as moved:
            first = first_answer()
        if moved:
            raise ValueError(
                f"The loss moves the buffers of a module outside of the model ({moved[0]}), as "
                "batch norm in train mode does: call eval() on that module."
            )
        one, other = answer(1) if first is None else first, answer(2)
    risk.no_derivatives = REENTRANT_REFUSAL if warned else _cut_by_quantised(risk)
    if not alike(one, other):
        cause = (
            f"it draws random numbers of {' and '.join(sorted(drawn))}. Switch off what is random "
            "in it (dropout that ignores eval mode, sampling)."
            if drawn and alike(one, answer(1))
            else "it keeps state between passes outside of its modules' attributes (a global, a "
            "closure, a class), or has random numbers of its own. Start each pass alike."
        )
        raise ValueError(f"The model answers differently twice on the same batch: {cause}")
    check_eval(risk)
    if risk.policy != "stored":
        refuse_unknown_norms(risk)
    few = sample(risk)
    check_graph(risk, [few, *risk.batches[1:]])
    if not risk.no_derivatives:
        risk.no_derivatives = reason_against(risk, few)
    check_reduction(risk, few)


def refuse_other_models(risk: EmpiricalRisk) -> None:
    """Raise ValueError where the ranks hold different weights or buffers."""
    if risk.ranks.size == 1:
        return
    held = Batch([*risk.model.parameters(), *risk.model.buffers()], None)
    if len(set(risk.ranks.gather(fingerprint_of([held])))) > 1:
        raise ValueError(
            "All ranks must hold one model, and theirs differ in weights or buffers. Broadcast "
            "those of rank 0 first: torch.distributed.broadcast(t, 0), t of model.state_dict()."
        )


def _cut_by_quantised(risk: EmpiricalRisk) -> str:
    """Reason why there are no derivatives where torch's quantised modules lose a part of them; ""
    without such modules.
    """
    for name, module in risk.model.named_modules():
        if type(module).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.q")):
            return (
                f"{modes.named(name, module)} is a quantised module of torch, which has no "
                "gradient: what passes through it would be lost. Hold its weights as frozen "
                "integers and scale them in forward, or measure the network before quantisation."
            )
    return ""


def refuse_non_finite(risk: EmpiricalRisk) -> None:
    """Raise ValueError where weights are NaN or infinite."""
    if bool(risk.w.isfinite().all()):
        return
    names = [n for n, s in risk.weights.layers.items() if not bool(risk.w[s].isfinite().all())]
    raise ValueError(
        f"The model's weights must be finite. Got NaN or infinity in {listed(names)}: "
        "has its training diverged?"
    )


def refuse_unknown_norms(risk: EmpiricalRisk) -> None:
    """Raise ValueError for modules of a user's own that keep running statistics: those that move
    while they train.
    """
    suspects = batch_norm.unknown(risk.model)
    if not suspects:
        return
    with risk.isolated(), risk.weights.substituted(risk.w.clone()):
        before = snapshot(risk.model)
        for module in suspects.values():
            module.training = True
        risk.batch_loss(risk.batches[0])
        after = snapshot(risk.model)
    moved = [
        modes.named(name, module)
        for name, module in suspects.items()
        if any(
            not torch.equal(before[key], after[key])
            for key in before.keys() & {f"{name}.{buffer}" for buffer in module._buffers}
        )
    ]
    if moved:
        raise ValueError(
            f"{', '.join(moved[:3])} keep running statistics in code of their own, which can be "
            'measured with batch_norm="stored" alone: ask for it, or use nn.BatchNorm.'
        )


def check_eval(risk: EmpiricalRisk) -> None:
    """Raise ValueError where flags in eval mode do not make what the model's own `eval()` makes, or
    where a module with an `eval()` of its own has parameters without influence: merged ones.
    """
    model, batch = risk.model, risk.batches[0]
    modules = modes.overriding(model)
    if not modules:
        return
    before = modes_of(model)
    leaf = risk.w.clone().requires_grad_()
    with risk.isolated() as renew, risk.weights.substituted(leaf) as set_point:
        modes.set_eval(model)
        by_flags = risk.batch_loss(batch)
        for name, module in modules.items():
            own = [p for p in module._parameters.values() if p is not None and p.requires_grad]
            if not all(_reaches(p, by_flags) for p in own):
                raise ValueError(
                    f"Parameters of {modes.named(name, module)} have no influence on the loss: its "
                    "eval() may have merged them into other weights. Call model.train() first."
                )
        if not any(training for _, training in before):
            return  # the user's own eval() has been called
        renew()
        set_point(risk.w.clone())
        tried = modes.copied(model)
        pairs = zip(tried.modules(), before, strict=True)
        set_modes([(module, training) for module, (_, training) in pairs])
        by_call = risk.loss(tried.eval(), batch.copy())
    rtol = 3 * torch.finfo(by_flags.dtype).eps ** 0.5
    if not torch.isclose(by_flags, by_call, rtol=rtol, equal_nan=True):
        names = ", ".join(modes.named(*pair) for pair in modules.items())
        raise ValueError(
            f"eval() of {names} changes more than modes: the loss is {by_call.item():.4g} after "
            f"it, and {by_flags.item():.4g} without. Call model.eval() first."
        )


def _reaches(parameter: Tensor, loss: Tensor) -> bool:
    if not loss.requires_grad:
        return False
    (g,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
    return g is not None


@contextmanager
def _watched(drawn: set[str], device: torch.device) -> Iterator[None]:
    """Adds the libraries whose global generators move while open."""
    before = generator_states(device)
    yield
    after = generator_states(device)
    drawn.update(name for name in before if before[name] != after[name])
