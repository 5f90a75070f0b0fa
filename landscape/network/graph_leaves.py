"""The leaves of a gradient graph: every tensor whose gradient a backward pass would accumulate."""

from collections.abc import Iterable, Mapping

from torch import Tensor


def graph_leaves(value: Tensor) -> list[Tensor]:
    """Tensors with requires_grad=True that `value` was computed from, each once.

    One visit of each node: about a microsecond per operation of the pass.
    """
    leaves: list[Tensor] = []
    if value.is_leaf:
        return [value] if value.requires_grad else leaves
    seen, ahead = {value.grad_fn}, [value.grad_fn]
    while ahead:
        node = ahead.pop()
        for following, _ in node.next_functions:  # type: ignore[union-attr]
            if following is not None and following not in seen:
                seen.add(following)
                ahead.append(following)
                if hasattr(following, "variable"):
                    leaves.append(following.variable)
    return leaves


def check_not_captured(leaves: Iterable[Tensor], names: Mapping[int, str]) -> None:
    """Raise ValueError where a loss computes with the model's own parameters.

    During a pass the model's modules hold another tensor in the place of each parameter. The
    parameter itself gets into a loss only when it was taken from the model earlier.

    leaves: as `graph_leaves` gives them; names: id of each parameter of the model -> its name.
    """
    captured = [names[id(leaf)] for leaf in leaves if id(leaf) in names]
    if captured:
        raise ValueError(
            "The loss must take parameters from the model inside the pass. Got "
            f"{', '.join(captured[:5])} from outside, as a list or dict of parameters made "
            "earlier: call `model.parameters()` inside the loss instead."
        )
