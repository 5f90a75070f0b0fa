"""Filters of every kind of layer, against what a loop over its outputs finds."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from landscape import Objective
from landscape.measures import Quantization, RelativeFlatness
from landscape.network.batch import Batch
from landscape.network.weights import Weights


class Conv1D(nn.Module):
    """As in transformers: weight (inputs, outputs)."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


def by_outputs(layer, x, weight):
    """The filter of each weight: the output channel (dim 1) that alone depends on it."""
    y = layer(x)
    numbers = torch.full(weight.shape, -1)
    for channel in range(y.shape[1]):
        (g,) = torch.autograd.grad(y[:, channel].sum(), weight, retain_graph=True)
        assert (numbers[g != 0] == -1).all()
        numbers[g != 0] = channel
    return numbers


LINEAR = {
    "linear": (nn.Linear(3, 4), (2, 3)),
    "conv1d of transformers": (Conv1D(4, 3), (2, 3)),
    "conv": (nn.Conv2d(4, 6, 2, groups=2), (2, 4, 3, 3)),
    "conv 1d, depthwise": (nn.Conv1d(4, 4, 2, groups=4), (2, 4, 5)),
    "transposed": (nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
    "transposed, depthwise": (nn.ConvTranspose2d(4, 4, 2, groups=4), (2, 4, 3, 3)),
    "transposed, grouped": (nn.ConvTranspose1d(4, 6, 2, groups=2), (2, 4, 3)),
    "transposed 3d, grouped": (nn.ConvTranspose3d(2, 4, 1, groups=2), (2, 2, 2, 2, 2)),
    "bilinear": (nn.Bilinear(3, 2, 4), None),
}


@pytest.mark.parametrize("kind", LINEAR)
def test_a_filter_is_what_makes_one_output(kind):
    layer, shape = LINEAR[kind]
    x = torch.rand(shape or (2, 3)) + 0.1
    call = layer if shape else lambda x: layer(x, torch.ones(2, 2))
    weights = Weights(layer)
    found = weights.filter_index()[weights.layers["weight"]].view(layer.weight.shape)
    assert torch.equal(found, by_outputs(call, x, layer.weight))


def rows(count, width):
    return [i for i in range(count) for _ in range(width)]


class Scaled(nn.Module):
    """Parameters of a vision transformer beside its layers."""

    def __init__(self):
        super().__init__()
        self.cls_token, self.pos_embed = (
            nn.Parameter(torch.ones(1, 1, 2)),
            nn.Parameter(torch.ones(1, 3, 2)),
        )
        self.positional_embedding = nn.Parameter(torch.ones(3, 2))
        self.relative_position_bias_table = nn.Parameter(torch.ones(5, 2))
        self.layer_scale, self.gamma = (
            nn.Parameter(torch.ones(2, 1, 1)),
            nn.Parameter(torch.ones(2)),
        )


class MyRMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


class Mine(nn.Module):
    """A user's own layer: what is not known counts by rows."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(2, 3))


def old_weight_norm():
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(nn.Linear(3, 2, bias=False))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: nn.Embedding(2, 3), rows(2, 3)),
        (lambda: nn.EmbeddingBag(2, 3), rows(2, 3)),
        (lambda: nn.GRU(1, 2, bias=False), [*rows(6, 1), *[6 + i for i in rows(6, 2)]]),
        (lambda: nn.LSTMCell(1, 1, bias=False), [0, 1, 2, 3, 4, 5, 6, 7]),
        (
            lambda: nn.MultiheadAttention(2, 1, bias=False, add_bias_kv=True),
            [*rows(6, 2), -1, -1, -1, -1, 6, 6, 7, 7],
        ),
        (Scaled, [-1] * (2 + 6 + 6 + 10 + 2 + 2)),
        (MyRMSNorm, [-1, -1]),
        (Mine, rows(2, 3)),
        (lambda: nn.LayerNorm((2, 2)), [-1] * 8),
        (lambda: parametrizations.weight_norm(nn.Linear(3, 2, bias=False)), [-1, -1, *rows(2, 3)]),
        (
            lambda: parametrizations.weight_norm(nn.ConvTranspose1d(2, 3, 1, bias=False)),
            [-1, -1, 0, 1, 2, 0, 1, 2],
        ),
        (old_weight_norm, [-1, -1, *rows(2, 3)]),
        (lambda: parametrizations.spectral_norm(nn.Linear(3, 2, bias=False)), rows(2, 3)),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 2, bias=False)), rows(2, 2)),
        (
            lambda: prune.identity(nn.ConvTranspose1d(2, 3, 1, bias=False), "weight"),
            [0, 1, 2, 0, 1, 2],
        ),
    ],
)
def test_filters_of_other_layers(make, expected):
    assert Weights(make()).filter_index().tolist() == expected


def test_gains_are_not_biases():
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(2, 2)), MyRMSNorm(), nn.LayerNorm(2)
    )
    assert Weights(model).gains == [False, True, False, True, True, True]


@pytest.mark.parametrize(
    "kind", ["transposed, grouped", "transposed, depthwise", "conv1d of transformers"]
)
def test_rounding_to_four_bits_by_channel_is_that_of_a_loop(kind):
    layer, shape = LINEAR[kind]
    numbers, w = by_outputs(layer, torch.rand(shape) + 0.1, layer.weight), layer.weight.detach()
    rounded = w.clone()
    for number in numbers.unique():
        part = w[numbers == number]
        scale = part.abs().max() / 7
        rounded[numbers == number] = scale * (part / scale).round()
    error = float((rounded - w).norm() / w.norm())
    batch = Batch(torch.rand(shape), None)
    objective = Objective(layer, [batch], lambda m, b: m(b.x).square().mean())
    record = Quantization(bits=(4,), granularity=("channel",))(objective)
    assert record.error[0, 0] == pytest.approx(error, rel=1e-5)


def test_relative_flatness_of_transformers_conv1d_is_that_of_the_same_linear_layer():
    torch.manual_seed(0)
    conv, linear = Conv1D(2, 3).double(), nn.Linear(3, 2).double()
    linear.weight.data, linear.bias.data = conv.weight.data.T.clone(), conv.bias.data
    batch = Batch(torch.randn(8, 3).double(), torch.arange(8) % 2)

    def loss(model, batch):
        return F.cross_entropy(model(batch.x), batch.y)

    objectives = [Objective(nn.Sequential(m), [batch], loss) for m in (conv, linear)]
    found, right = (RelativeFlatness(layer="0", draws=200)(o) for o in objectives)
    assert abs(found.value - right.value) < 4 * found.stderr < right.value
    assert abs(found.simplified - right.simplified) < 4 * found.simplified_stderr
