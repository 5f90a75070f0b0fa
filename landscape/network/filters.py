"""Which filter a coordinate of `w` belongs to: Li et al. 2018, section 3.

A filter is what makes one output: a row of a linear layer, an output channel of a convolution, a
row of an embedding (a linear layer on one-hot inputs), of each gate of a recurrent layer, of the
three projections of attention. Biases, normalisation parameters, the gains of weight norm, class
tokens, position embeddings and position biases belong to none.
"""

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

NORMALISATION = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.modules.conv._ConvNd,
)
# Words in the names of parameters that are no weights where their module is none of `LAYERS`.
NO_WEIGHTS = {"bias", "biases", "token", "tokens", "pos", "position", "positions", "positional"} | {
    "embed", "embedding", "embeddings", "latents", "prompt", "prompts"
}  # fmt: skip


class Role(NamedTuple):
    """Role of a parameter: the layer that computes with it, under which name, and whether it is the
    gain of a normalisation.
    """

    layer: nn.Module
    name: str
    gain: bool


def is_conv1d(layer: nn.Module) -> bool:
    """Recognise transformers' Conv1D: a linear layer with its weight (inputs, outputs)."""
    weight = layer._parameters.get("weight")
    return type(layer).__name__ == "Conv1D" and weight is not None and weight.dim() == 2


def is_normalisation(layer: nn.Module) -> bool:
    """Recognise a normalisation layer by its type: torch's, or one whose class name ends in Norm,
    as a model's own RMSNorm or LayerNorm2d.
    """
    named = re.search(r"Norm(\dd)?$", type(layer).__name__)
    return isinstance(layer, NORMALISATION) or named is not None


def roles(model: nn.Module) -> dict[int, Role]:
    """By id of the parameter; a tied one has its first."""
    parametrized = {
        id(originals): (module, name)
        for module in model.modules()
        if is_parametrized(module)
        for name, originals in module.parametrizations.items()  # type: ignore[union-attr, operator]
    }
    found: dict[int, Role] = {}
    for module in model.modules():
        for key, p in module._parameters.items():
            if p is not None:
                layer, name = parametrized.get(id(module), (module, _plain(key, module)))
                found.setdefault(id(p), Role(layer, name, _is_gain(module, key, p)))
    return found


def filter_view(role: Role, t: Tensor) -> Tensor | None:
    """A tensor in the parameter's shape as a view (groups, outputs, inputs, kernel), where [g, o]
    is a filter; None for a parameter without filters, as an empty one.
    """
    shape = t.shape
    if len(shape) < 2 or not t.numel() or role.gain or not _is_weight(role, shape):
        return None
    layer: Any = role.layer
    kernel = shape[2:].numel()
    if isinstance(layer, TRANSPOSED):  # (inputs, outputs of a group, ...)
        inputs = shape[0] // layer.groups
        return t.view(layer.groups, inputs, shape[1], kernel).transpose(1, 2)
    if is_conv1d(layer):
        return t.view(1, shape[0], shape[1], kernel).transpose(1, 2)
    return t.view(1, shape[0], shape[1], kernel)


def filter_numbers(role: Role, shape: torch.Size) -> Tensor | None:
    """The number of each coordinate's filter within the parameter, from 0, in its shape; None for a
    parameter without filters.
    """
    numbers = torch.empty(shape, dtype=torch.int64)
    filters = filter_view(role, numbers)
    if filters is None:
        return None
    groups, outputs = filters.shape[:2]
    filters.copy_(torch.arange(groups * outputs).view(groups, outputs, 1, 1))
    return numbers


def _is_weight(role: Role, shape: torch.Size) -> bool:
    words = set(re.split(r"[\W_\d]+", role.name.lower()))
    if isinstance(role.layer, LAYERS) and not words & {"bias"}:
        return True
    is_vector = len(shape) > 2 and sum(size > 1 for size in shape) <= 1
    return not (words & NO_WEIGHTS or is_vector)


def _is_gain(module: nn.Module, key: str, p: Tensor) -> bool:
    """Recognise normalisation layers, torch's or by that name, and weight norm."""
    if isinstance(module, NORMALISATION):
        return True
    if isinstance(module, ParametrizationList):
        return key == "original0" and isinstance(module[0], _WeightNorm)
    if key.endswith("_g") and f"{key[:-2]}_v" in module._parameters:
        return True
    named = "norm" in type(module).__name__.lower()
    return named and sum(size > 1 for size in p.shape) <= 1


def _plain(key: str, module: nn.Module) -> str:
    """The name without what torch's older weight norm, spectral norm and pruning add to it."""
    for ending in ("_v", "_orig"):
        if key.endswith(ending) and key.removesuffix(ending) not in module._parameters:
            return key.removesuffix(ending)
    return key
