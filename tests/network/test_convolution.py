"""Convolutions as contractions against torch's own: values, and derivatives to the third."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network import convolution
from landscape.network.higher_order import DoubleBackward, has_custom_functions

SETTINGS = {
    "plain": {},
    "padded": {"padding": 1},
    "strides": {"stride": (2, 1), "padding": (1, 0)},
    "a stride that leaves a column out": {"stride": 2},
    "dilated": {"dilation": 2, "padding": 2},
    "depthwise": {"groups": 4},
    "lists of one": {"stride": [2], "padding": [1]},
}


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def derivatives(function, leaves, along):
    """The value of Σ sin(y)·weights and its derivatives along directions, to the third."""
    y = function(*leaves).sin()
    y, slopes = (y * torch.arange(y.numel()).view_as(y)).sum(), []
    for _ in range(3):
        slopes.append(y.detach())
        gradients = torch.autograd.grad(y, leaves, create_graph=True)
        y = sum((g * u).sum() for g, u in zip(gradients, along, strict=True))
    return torch.stack([*slopes, y.detach()])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_derivatives_are_torchs(name, bias, normal):
    settings = SETTINGS[name]
    shapes = [(2, 4, 6, 5), (4, 4 // settings.get("groups", 1), 3, 2), *([(4,)] if bias else [])]
    leaves = [normal(*shape).requires_grad_() for shape in shapes]
    along = [normal(*shape) for shape in shapes]
    ours = derivatives(lambda *t: convolution.conv2d(*t, **settings), leaves, along)
    torchs = derivatives(lambda *t: F.conv2d(*t, **settings), leaves, along)
    torch.testing.assert_close(ours, torchs, rtol=1e-10, atol=1e-10)
    assert has_custom_functions(convolution.conv2d(*leaves, **settings))


@pytest.mark.parametrize("needs", [0, 1])
def test_a_constant_image_or_weight(needs, normal):
    tensors = [normal(2, 3, 5, 5), normal(4, 3, 3, 3)]
    tensors[needs].requires_grad_()
    ours, torchs = (
        torch.autograd.grad(f(*tensors).sin().sum(), tensors[needs])
        for f in (convolution.conv2d, F.conv2d)
    )
    torch.testing.assert_close(ours, torchs)


def test_layers_use_them_while_the_mode_is_open(normal):
    layer, x = nn.Conv2d(3, 2, 3).double(), normal(2, 3, 5, 5)
    assert not has_custom_functions(layer(x))
    with DoubleBackward():
        y = layer(x)
        y_in_place = nn.functional.relu(nn.Conv2d(3, 2, 3, bias=False).double()(x), inplace=True)
    assert has_custom_functions(y)
    y_in_place.sum().backward()
    torch.testing.assert_close(y, layer(x))


@pytest.mark.parametrize(
    "case", ["grouped", "words", "one image", "no derivative", "autocast", "vmap", "mixed"]
)
def test_the_rest_is_torchs_own(case, normal, monkeypatch):
    """Whatever the contraction does not know keeps torch's function, and its answer."""
    monkeypatch.setattr(convolution._Contraction, "apply", None)
    x, weight = normal(2, 4, 5, 5).float(), normal(4, 4, 3, 3).float().requires_grad_()
    conv = convolution.conv2d
    if case == "grouped":
        assert conv(x, weight[:, :2], groups=2).shape == (2, 4, 3, 3)
    elif case == "words":
        assert conv(x, weight, padding="same").shape == x.shape
    elif case == "one image":
        assert conv(x[0], weight).shape == (4, 3, 3)
    elif case == "no derivative":
        with torch.no_grad():
            conv(x, weight)
    elif case == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            assert conv(x, weight).dtype == torch.bfloat16
    elif case == "vmap":
        each = torch.func.vmap(lambda image: conv(image[None], weight)[0])(x)
        torch.testing.assert_close(each, F.conv2d(x, weight))
    else:
        with pytest.raises(RuntimeError):
            conv(x, weight.double())
