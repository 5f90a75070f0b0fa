"""The first passes of an objective: a function that answers differently twice is refused."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from landscape.network import modes
from landscape.network.higher_order import reentrant_checkpoints_heard
from landscape.network.isolation import modes_of, set_modes
from landscape.objective.empirical_risk import EmpiricalRisk


def check(risk: EmpiricalRisk) -> None:
    """Notice reentrant checkpoints, and compare two passes over the first batch.

    Dropout left on, or any other source of randomness, would make every curvature wrong.
    Raises ValueError where the passes differ, and where eval mode by flags is not the model's own.
    """

    drawn: set[str] = set()

    def answer(seed: int) -> Tensor:
        with torch.no_grad(), risk.opened(risk.w, seed), _watched(drawn, risk.device):
            return risk.batch_loss(risk.batches[0])

    def alike(one: Tensor, other: Tensor) -> bool:
        return torch.isclose(one, other, rtol=1e-4, atol=0.0, equal_nan=True).item() is True

    with reentrant_checkpoints_heard() as warned:
        one, other = answer(1), answer(2)
    risk.reentrant = bool(warned)
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
    with torch.enable_grad(), risk.isolated() as renew, risk.weights.substituted(leaf) as stand_at:
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
        stand_at(risk.w)
        tried = modes.copied(model)
        pairs = zip(tried.modules(), before, strict=True)
        set_modes([(module, training) for module, (_, training) in pairs])
        by_call = risk.loss(tried.eval(), batch)
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


def _torch_states(device: torch.device) -> list[Tensor]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *cuda]


@contextmanager
def _watched(drawn: set[str], device: torch.device) -> Iterator[None]:
    """Adds the libraries whose global generators move while open."""

    def states() -> dict[str, bytes]:
        return {
            "torch": b"".join(t.numpy().tobytes() for t in _torch_states(device)),
            "numpy": repr(np.random.get_state()).encode(),
            "Python": repr(random.getstate()).encode(),
        }

    before = states()
    yield
    after = states()
    drawn.update(name for name in before if before[name] != after[name])
