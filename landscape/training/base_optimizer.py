"""The optimizer that a method's gradients go to, from the settings of a run."""

import torch
from torch import nn

from landscape.training.settings import Settings


def base_optimizer(model: nn.Module, settings: Settings, method: object) -> torch.optim.Optimizer:
    """Build torch's SGD or AdamW: as the settings name it, else as the method asks, else SGD."""
    t = settings.training
    known = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    kind = known.get(t.optimizer) or getattr(method, "base", torch.optim.SGD)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if kind is torch.optim.AdamW:
        return torch.optim.AdamW(parameters, lr=t.lr, weight_decay=t.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        lr=t.lr,
        momentum=t.momentum,
        weight_decay=t.weight_decay,
        nesterov=t.nesterov,
        fused=True,
    )
