"""ResNet-56, wide residual networks, PyramidNet: their papers' sizes, blocks written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.models import pyramidnet110, pyramidnet272, resnet56, wrn28_10
from landscape.models.pyramidnet import PyramidBlock, pyramidnet
from landscape.models.resnet56 import ThinBlock
from landscape.models.wide_resnet import WideBlock, wide_resnet


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def standardised(x: torch.Tensor) -> torch.Tensor:
    """Batch norm in training, at its initial scale 1 and shift 0."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (resnet56, 0.85),
        (lambda: resnet56(skip=False), 0.85),
        (wrn28_10, 36.5),
        (lambda: wide_resnet(16, 8), 11.0),
        (lambda: wide_resnet(40, 4), 8.9),
        (pyramidnet110, 1.7),
        (lambda: pyramidnet110(alpha=84), 3.8),
        (lambda: pyramidnet110(alpha=270), 28.3),
        (lambda: pyramidnet(164, 270, True), 27.0),
        (pyramidnet272, 26.0),
    ],
)
def test_the_size_that_the_paper_states(make, millions):
    """To 1 % and what rounding or cutting after the last digit may hide."""
    with torch.device("meta"):
        found = count(make()) / 1e6
    assert abs(found - millions) <= 0.01 * millions + (0.1 if millions > 1 else 0.01)


@pytest.mark.parametrize(
    ("alpha", "parameters"), [(48, 1_772_706), (84, 3_904_446), (270, 28_485_477)]
)
def test_pyramidnet110_to_the_last_parameter(alpha, parameters):
    """As the authors' code counts; other code bases have the same numbers in their tests."""
    with torch.device("meta"):
        assert count(pyramidnet110(alpha=alpha)) == parameters


@pytest.mark.parametrize(
    ("depth", "alpha", "bottleneck", "features"),
    [(110, 48, False, 64), (110, 84, False, 100), (164, 48, True, 256), (272, 200, True, 864)],
)
def test_pyramidnet_ends_as_wide_as_the_authors_table_says(depth, alpha, bottleneck, features):
    with torch.device("meta"):
        assert pyramidnet(depth, alpha, bottleneck).head.in_features == features


def test_pyramidnet_widens_by_alpha_evenly():
    """Depth 20, alpha 10: 9 blocks of 16 + 10 k / 9 channels, rounded."""
    widths = [
        module.inner[-1].num_features
        for module in pyramidnet(20, 10, bottleneck=False).modules()
        if isinstance(module, PyramidBlock)
    ]
    assert widths == [17, 18, 19, 20, 22, 23, 24, 25, 26]


def test_aace_without_bottlenecks():
    with torch.device("meta"):
        assert count(pyramidnet272(bottleneck=False)) == 41_111_801


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("inputs", "stride"), [(4, 1), (4, 2), (3, 2)])
def test_thin_block_written_out(inputs, stride, skip):
    block, x = ThinBlock(inputs, 4, stride, skip).double(), random(5, inputs, 6, 6)
    h = standardised(F.conv2d(x, block.conv1.weight, stride=stride, padding=1)).relu()
    h = standardised(F.conv2d(h, block.conv2.weight, padding=1))
    if skip:
        h[:, :inputs] += x[:, :, ::stride, ::stride]
    torch.testing.assert_close(block(x), h.relu())


@pytest.mark.parametrize(("inputs", "stride"), [(4, 1), (3, 1), (3, 2)])
def test_wide_block_written_out(inputs, stride):
    block, x = WideBlock(inputs, 4, stride, dropout=0.0).double(), random(5, inputs, 6, 6)
    active = standardised(x).relu()
    h = standardised(F.conv2d(active, block.conv1.weight, stride=stride, padding=1)).relu()
    past = x if inputs == 4 else F.conv2d(active, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), F.conv2d(h, block.conv2.weight, padding=1) + past)


def test_dropout_of_a_wide_block_is_between_its_convolutions():
    """All of it dropped, only the shortcut is left."""
    block, x = WideBlock(4, 4, 1, dropout=1.0).double(), random(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_pyramid_block_written_out(bottleneck, stride):
    """No ReLU before the first convolution, none after the sum, a batch norm at the end."""
    block, x = PyramidBlock(3, 5, stride, bottleneck).double(), random(4, 3, 6, 6)
    convs = [m.weight for m in block.inner if isinstance(m, nn.Conv2d)]
    strides = [1, stride, 1] if bottleneck else [stride, 1]
    h = standardised(x)
    for i, (weight, step) in enumerate(zip(convs, strides, strict=True)):
        h = h.relu() if i else h
        h = standardised(F.conv2d(h, weight, stride=step, padding=weight.shape[-1] // 2))
    assert h.shape[1] == (20 if bottleneck else 5)
    pooled = x.unflatten(2, (-1, stride)).unflatten(4, (-1, stride)).mean((3, 5))
    h[:, :3] += pooled
    torch.testing.assert_close(block(x), h)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wide_resnet(27, 2), "`depth` must be 6n . 4, with n at least 1. Got 27."),
        (lambda: wide_resnet(4, 2), "Got 4."),
        (lambda: wide_resnet(10, 0), "`width` must be positive. Got 0."),
        (lambda: pyramidnet(111, 48, False), "`depth` must be 6n . 2, with n at least 1. Got 111."),
        (lambda: pyramidnet(112, 48, True), "`depth` must be 9n . 2, with n at least 1. Got 112."),
        (lambda: pyramidnet(20, -1, False), "`alpha` must be non-negative. Got -1."),
    ],
)
def test_sizes_that_do_not_exist(make, message):
    with pytest.raises(ValueError, match=message):
        make()
