"""The test loss of the noisy labels that a network was trained on: what its training loss is of."""

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, LossFn


def expected_cross_entropy(fraction: float) -> LossFn:
    """Mean cross-entropy, each label replaced by another class, uniformly, with a probability.

    E[−log p_ỹ] = −(1 − fraction) log p_y − fraction/(C − 1) Σ_{c ≠ y} log p_c: no label is drawn.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        log_p = model(batch.x).log_softmax(-1)
        true_label = log_p.gather(-1, batch.y[..., None])[..., 0]
        others = (log_p.sum(-1) - true_label) / (log_p.shape[-1] - 1)
        return -torch.lerp(true_label, others, fraction).mean()

    return loss
