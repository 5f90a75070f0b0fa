"""Folding: what a trace finds, and that the folded function is the plain one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.models import convnet, resnet18
from landscape.objective.fold_batch_norm import chains, folded


def trained(model, x):
    """In float64 and eval mode, with statistics and affine parameters of its own."""
    torch.manual_seed(0)
    model.double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            if module.running_mean is not None:
                module.running_mean.normal_()
                module.running_var.uniform_(0.3, 3.0)
            if module.weight is not None:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval(), x.double()


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


NETS = {
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3)), (4, 2, 5)),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1, groups=2), nn.BatchNorm2d(4)), None),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3)), (2, 2, 3, 3, 3)),
    "linear": (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU()), (5, 6)),
    "reflected": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(3)
        ),
        None,
    ),
    "not affine": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3, affine=False)),
        None,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_a_folded_chain_is_the_same_function(name):
    make, shape = NETS[name]
    model, x = trained(make(), images(*(shape or (4, 2, 5, 5))))
    (chain,) = found = chains(model)
    assert chain.affine is model[0] and chain.norm is model[1]
    expected = model(x)
    with torch.no_grad(), folded(found):
        assert model[1](x) is x
        torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(model(x), expected)


def test_relus_of_modules_work_in_place_and_functions_stay():
    model, x = trained(convnet(), images(5, 1, 8, 8))
    found = chains(model)
    assert [chain.relu for chain in found] == [model.relu1, model.relu2]
    before, expected = x.clone(), model(x)
    with torch.no_grad(), folded(found):
        torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)
    model, x = trained(resnet18(classes=3), images(2, 3, 8, 8))
    found = chains(model)
    assert len(found) == 20 and sum(chain.relu is not None for chain in found) == 1
    expected = model(x)
    with torch.no_grad(), folded(found):
        torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_the_weights_of_the_moment_are_folded():
    model, x = trained(convnet(), images(5, 1, 8, 8))
    found = chains(model)
    with torch.no_grad(), folded(found):
        for p in model.parameters():
            p.add_(0.1)
        moved = model(x)
    torch.testing.assert_close(moved, model(x), rtol=1e-12, atol=1e-12)


class Net(nn.Module):
    """A convolution with batch norm, put together as `how` says."""

    def __init__(self, how):
        super().__init__()
        self.conv, self.norm, self.how = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), how
        self.seen = []

    def forward(self, x):
        return self.how(self, x)


def skips(net, x):
    h = net.conv(x)
    return net.norm(h) + h


def keeps(net, x):
    net.seen.append(x)
    return net.norm(net.conv(x))


UNFIT = {
    "the convolution's output is used twice": skips,
    "a layer called twice": lambda net, x: net.norm(net.conv(net.norm(net.conv(x)))),
    "a function in between": lambda net, x: net.norm(F.relu(net.conv(x))),
    "norm before": lambda net, x: net.conv(net.norm(x)),
    "a branch on values": lambda net, x: net.norm(net.conv(x)) if x.sum() > 0 else x,
}


@pytest.mark.parametrize("reason", UNFIT)
def test_what_is_no_chain_stays(reason):
    assert chains(Net(UNFIT[reason]).eval()) == []


def test_a_trace_leaves_nothing_behind():
    model = Net(keeps).eval()
    assert len(chains(model)) == 1
    assert model.seen == []


def altered(change):
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    return change(model) or model


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m[0].register_forward_hook(lambda *_: None) and None,
        lambda m: m[1].register_forward_pre_hook(lambda *_: None) and None,
        lambda m: nn.utils.parametrizations.weight_norm(m[0]) and None,
        lambda m: setattr(m[1], "forward", lambda x: x),
        lambda m: nn.Sequential(m[0], nn.BatchNorm2d(3, track_running_stats=False)).eval(),
        lambda m: nn.Sequential(m[0], nn.InstanceNorm2d(3)).eval(),
    ],
)
def test_layers_that_are_not_torchs_own_stay(change):
    assert chains(altered(change)) == []


def test_a_linear_layer_with_channels_elsewhere_is_refused():
    """Batch norm takes the second dimension, a linear layer the last."""
    model, x = trained(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), images(3, 4, 4))
    with folded(chains(model)), pytest.raises(ValueError, match="not normalised by the last"):
        model(x)


def test_layers_come_back_when_a_pass_raises():
    model, _ = trained(convnet(), images(5, 1, 8, 8))
    with pytest.raises(RuntimeError), folded(chains(model)):
        model(torch.zeros(1, 7, 8, 8).double())
    assert not any("forward" in vars(module) for module in model.modules())
