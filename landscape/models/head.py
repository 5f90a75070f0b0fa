"""The last layers of an image classifier: a head, perhaps behind a narrower linear layer."""

from torch import nn


def head(inputs: int, classes: int, neck: int = 0, zero: bool = False) -> dict[str, nn.Module]:
    """Linear layers (batch, inputs) ↦ (batch, classes), by name: "head", or "neck" and "head".

    neck: units of one more linear layer before the head, without an activation; 0: none.
    zero: start the head at zero, as the AACE authors' code does (arXiv 2406.14329).

    Raises ValueError for a negative neck.
    """
    if neck < 0:
        raise ValueError(f"`neck` must be non-negative. Got {neck}.")
    last = nn.Linear(neck or inputs, classes)
    if zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return {**({"neck": nn.Linear(inputs, neck)} if neck else {}), "head": last}
