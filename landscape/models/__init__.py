"""Architectures by name. A factory draws its weights from torch's global generator.

Imports `network`. Start with `mlp.py`; `libraries.py` reaches torchvision, timm and transformers.
"""

from collections.abc import Callable

from torch import nn

from landscape.models.convnet import convnet
from landscape.models.language_model import language_model
from landscape.models.lenet import lenet
from landscape.models.libraries import timm_model, torchvision_model, transformers_model
from landscape.models.mlp import mlp
from landscape.models.pyramidnet import pyramidnet110, pyramidnet272
from landscape.models.resnet import resnet18, resnet34, resnet50
from landscape.models.resnet56 import resnet56
from landscape.models.sequence_classifier import sequence_classifier
from landscape.models.text_transformer import pair_transformer, text_transformer
from landscape.models.unet import unet
from landscape.models.vit import vit
from landscape.models.wide_resnet import wrn28_10, wrn34_10

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "convnet": convnet,
    "lenet": lenet,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet56": resnet56,
    "wrn28-10": wrn28_10,
    "wrn34-10": wrn34_10,
    "pyramidnet110": pyramidnet110,
    "pyramidnet272": pyramidnet272,
    "vit": vit,
    "unet": unet,
    "text-transformer": text_transformer,
    "pair-transformer": pair_transformer,
    "language-model": language_model,
    "sequence-classifier": sequence_classifier,
    "torchvision": torchvision_model,
    "timm": timm_model,
    "transformers": transformers_model,
}

__all__ = [
    "MODELS",
    "convnet",
    "language_model",
    "lenet",
    "mlp",
    "pair_transformer",
    "pyramidnet110",
    "pyramidnet272",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet56",
    "sequence_classifier",
    "text_transformer",
    "unet",
    "vit",
    "wrn28_10",
    "wrn34_10",
]
