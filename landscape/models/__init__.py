"""Architectures by name. A factory draws its weights from torch's global generator."""

from collections.abc import Callable

from torch import nn

from landscape.models.convnet import convnet
from landscape.models.lenet import lenet
from landscape.models.mlp import mlp
from landscape.models.resnet import resnet18

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "convnet": convnet,
    "lenet": lenet,
    "resnet18": resnet18,
}

__all__ = ["MODELS", "convnet", "lenet", "mlp", "resnet18"]
