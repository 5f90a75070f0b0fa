"""Initialisation of the networks: He and small normal."""

from torch import nn


def he_initialised(model: nn.Module) -> nn.Module:
    """Initialise each convolution in place with variance 2 / fan-out (arXiv 1502.01852)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def small_normal(model: nn.Module, std: float = 0.02) -> nn.Module:
    """Initialise linear layers, convolutions and embeddings in place: N(0, std²), biases 0 (GPT-2).

    Embeddings keep the row of their padding at 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight.detach()[module.padding_idx])
    return model
