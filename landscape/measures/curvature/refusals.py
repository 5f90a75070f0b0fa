"""Products and gradients that no curvature could be trusted of."""

from torch import Tensor

from landscape.objective.derivative import refuse_not_finite


def refuse_asymmetric(asymmetry: float, allowed: float) -> None:
    """Raise ValueError for products whose antisymmetric part, relative to them, is larger than
    allowed.
    """
    if asymmetry > allowed:
        raise ValueError(
            f"Curvature products are not symmetric: u·Hv and v·Hu differ by {asymmetry:.2g} of "
            f"their size, where {allowed:.2g} is allowed. Look for a custom backward or a "
            "detached part in the model or loss, or try the model in float64."
        )


def agree(one: Tensor, other: Tensor, allowed: float) -> bool:
    """Test whether two gradients differ by no more than `allowed` of their length."""
    return float((one - other).norm()) <= allowed * float(one.norm())


def refuse_changing(one: Tensor, other: Tensor, allowed: float) -> None:
    """Raise ValueError for two gradients at the same point that do not agree, or are not finite."""
    refuse_not_finite(one + other, "there is no curvature")
    if not agree(one, other, allowed):
        raise ValueError(
            f"Two gradients at the same point differ by {float((one - other).norm()):.2g}. Look "
            "for something in the model or loss that changes from one evaluation to the next."
        )
