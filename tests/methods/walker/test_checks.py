"""What does not go together is refused, with what to do."""

import pytest
import torch
from torch import nn

from landscape import optim
from landscape.methods.walker.walker import Walker

SGD = torch.optim.SGD


def loss(model, batch):
    return model(batch.x).square().mean()


def test_frozen_parameters_may_be_in_the_optimizer_or_not(small_net, batch):
    for keep in (True, False):
        net = small_net()
        net[0].weight.requires_grad_(False)
        frozen = net[0].weight.clone()
        base = SGD([p for p in net.parameters() if keep or p.requires_grad], lr=0.1, momentum=0.9)
        optim.wrap("sam", net, base, loss).step(batch)
        assert torch.equal(net[0].weight, frozen)


def test_parameters_on_one_side_only_are_refused(small_net):
    net, head = small_net(), nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"every trainable parameter. Missing: 2.weight, 2.bias"):
        optim.wrap("sam", net, SGD(net[0].parameters(), lr=0.1), loss)
    both = SGD([*net.parameters(), *head.parameters()], lr=0.1)
    with pytest.raises(ValueError, match=r"of the model only: no other would move. Got 2 more"):
        optim.wrap("sam", net, both, loss)


def test_freezing_or_thawing_later_is_noticed(small_net, batch):
    """Otherwise a parameter frozen by the user would go on moving, and one thawed would not."""
    net = small_net()
    net[2].bias.requires_grad_(False)
    stepper = optim.wrap("sam", net, SGD(net.parameters(), lr=0.1), loss)
    stepper.step(batch)
    net[2].bias.requires_grad_(True)
    with pytest.raises(ValueError, match="Call `wrap` again"):
        stepper.step(batch)
    net[2].bias.requires_grad_(False)
    stepper.step(batch)
    net[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="Call `wrap` again"):
        stepper.step(batch)
    optim.wrap("sam", net, stepper.optimizer, loss).step(batch)


@pytest.mark.parametrize(
    ("convert", "autocast", "reason"),
    [
        (nn.Module.float, torch.float16, r"must be torch.bfloat16. Got float16, which needs scal"),
        (nn.Module.float, torch.float32, r"must be torch.bfloat16 or None. Got torch.float32"),
        (nn.Module.bfloat16, None, r"round to nothing in bfloat16. Keep float32 weights and use"),
        (nn.Module.half, None, "round to nothing in float16"),
        (lambda net: net[0].float(), None, "must have one dtype. Got float32, float64"),
    ],
)
def test_precisions_that_go_wrong_silently_are_refused(convert, autocast, reason, small_net):
    net = small_net()
    convert(net)
    with pytest.raises(ValueError, match=reason):
        optim.wrap("sam", net, SGD(net.parameters(), lr=0.1), loss, autocast=autocast)


def replaced_head(net, optimizer):
    net[2] = nn.Linear(5, 3).double()
    optimizer.add_param_group({"params": list(net[2].parameters())})


def replaced_weight(net, optimizer):
    net[2].weight = nn.Parameter(net[2].weight.detach().clone())


def added_layer(net, optimizer):
    net.append(nn.Linear(3, 3).double())


def removed_layer(net, optimizer):
    del net[2]


def added_group(net, optimizer):
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})


def frozen(net, optimizer):
    net[0].weight.requires_grad_(False)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (replaced_head, "`2.weight` was replaced"),
        (replaced_weight, "`2.weight` was replaced"),
        (added_layer, "`3.weight` was added"),
        (removed_layer, "`2.weight` was removed"),
        (added_group, "The optimizer's groups were changed"),
        (frozen, "`0.weight` was frozen"),
    ],
)
def test_other_parameters_than_at_the_start_are_noticed(change, difference, small_net, batch):
    """A walker in a loop of its own: none of them would move."""
    net = small_net()
    base = SGD(net.parameters(), lr=0.1)
    walker = Walker(net, base, loss)
    walker.begin(batch.size)
    change(net, base)
    with pytest.raises(ValueError, match=rf"must stay those.* {difference}\. Call `wrap` again"):
        walker.begin(batch.size)
