"""A multilayer perceptron: linear layers with ReLU between them."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


def mlp(inputs: int = 64, hidden: Sequence[int] = (64,), classes: int = 10) -> nn.Module:
    """Flatten x to (batch, inputs), then one ReLU layer per width in `hidden`, then the head.

    inputs: values per example after flattening (64: the 8x8 digits).
    hidden: width of each hidden layer; none of them leaves logistic regression.
    Layers are named `hidden1`, `hidden2`, ... and `head`. The defaults have 4,810 parameters.

    Raises ValueError when a width is not positive.
    """
    widths = (inputs, *hidden, classes)
    if min(widths) < 1:
        raise ValueError(f"`inputs`, `hidden` and `classes` must be positive. Got {widths}.")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, width in enumerate(hidden):
        layers[f"hidden{i + 1}"] = nn.Linear(widths[i], width)
        layers[f"relu{i + 1}"] = nn.ReLU()
    layers["head"] = nn.Linear(widths[-2], classes)
    return nn.Sequential(layers)
