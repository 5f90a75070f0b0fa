"""Cost of a curvature penalty in gradients of the loss, counted by matrix products.

Let the forward pass be 1. Going back by activations is 1, by weights another 1, so a pass is 3. A
gradient by one layer goes back by activations: 1. A product of its Hessian goes back through both,
by activations: 2. So a random sign costs (1 + 2)/3 = 1 pass, and d products with the Hessian at a
layer's output (1 + 2d)/3. Where H is not held constant the descent goes back through all of it by
activations and weights, for twice as much again: a factor of 3.

A layer pays for the part of the network from there on: the share of the trainable weights in it.
"""

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from landscape.methods.components.penalty import CLOSED, SIGNS, LayerPass
from landscape.network.higher_order import nodes_of


def products(way: str, seen: LayerPass, draws: int) -> int:
    """Products with the Hessian in one pass."""
    if way == CLOSED:
        return 0
    return draws if way == SIGNS else seen.call.z.shape[-1]


def cost(way: str, seen: LayerPass, draws: int, full: bool) -> float:
    """Gradients of the loss that the products of one pass cost. full: the descent goes through."""
    count = products(way, seen, draws)
    if count == 0:
        return 0.0
    gradients = draws if way == SIGNS else 1
    share = share_from(seen) if way == SIGNS else share_of_weights(seen, seen.call.z)
    return (3 if full else 1) * share * (gradients + 2 * count) / 3


def share_from(seen: LayerPass) -> float:
    """Share of the trainable weights from a layer on, its own among them; 1 where its weight also
    stands before it, as in a tied head, and where it is not called once.
    """
    if len(seen.calls) != 1:
        return 1.0
    weight, x = seen.layer.weight, seen.call.x
    tied = get_gradient_edge(weight).node in set(nodes_of(x))
    return 1.0 if tied else share_of_weights(seen, x)


def share_of_weights(seen: LayerPass, until: Tensor) -> float:
    """Share of the trainable weights that the loss depends on other than through `until`."""
    nodes = set(nodes_of(seen.loss, until))
    weights = [p for p in seen.model.parameters() if p.requires_grad]
    reached = sum(p.numel() for p in weights if get_gradient_edge(p).node in nodes)
    return reached / sum(p.numel() for p in weights)
