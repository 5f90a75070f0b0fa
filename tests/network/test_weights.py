"""The flat vector: order, ties, frozen parameters, formats, filters; no trace is left."""

import pytest
import torch
from torch import nn

from landscape.network.weights import Weights


class Tied(nn.Module):
    """An embedding whose matrix is also the head's, and one frozen layer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.frozen(self.embed(x)))


def test_order_is_named_parameters_with_tied_ones_once_and_frozen_ones_left_out():
    model = Tied()
    weights = Weights(model)
    assert weights.names == ("embed.weight", "head.bias")
    assert dict(weights.layers) == {"embed.weight": slice(0, 15), "head.bias": slice(15, 20)}
    expected = torch.cat([model.embed.weight.flatten(), model.head.bias])
    assert torch.equal(weights.read(), expected)


def test_read_after_write_is_the_same_vector_in_every_memory_format():
    model = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    weights = Weights(model)
    w = torch.arange(weights.n, dtype=torch.float32)
    weights.write(w)
    assert torch.equal(weights.read(), w)
    assert torch.equal(model.weight.flatten(), w[:54])  # logical order
    assert model.weight.is_contiguous(memory_format=torch.channels_last)


def test_substitution_reaches_both_ends_of_a_tie_and_leaves_no_trace():
    model = Tied()
    weights = Weights(model)
    x, before = torch.tensor([1, 2]), list(model.parameters())
    w = torch.randn(weights.n)
    with weights.substituted(w):
        looked = model(x)
    assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
    weights.write(w)
    assert torch.equal(looked, model(x))


def test_substitution_is_undone_when_the_pass_raises():
    model = nn.Linear(2, 1)
    before = model.weight
    with pytest.raises(RuntimeError), Weights(model).substituted(torch.zeros(3)):
        raise RuntimeError
    assert model.weight is before


def test_the_gradient_of_a_substituted_pass_is_the_modules_own():
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 1)).double()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(4, 1, 3, 3, dtype=torch.float64)
    weights = Weights(model)
    leaf = weights.read().requires_grad_()
    with weights.substituted(leaf):
        (flat,) = torch.autograd.grad(model(x).pow(2).sum(), leaf)
    own = torch.autograd.grad(model(x).pow(2).sum(), list(model.parameters()))
    torch.testing.assert_close(flat, weights.flatten(own), rtol=1e-12, atol=1e-14)


def test_an_lstm_computes_with_the_substituted_weights():
    model = nn.LSTM(2, 3).double()
    x = torch.randn(4, 1, 2, dtype=torch.float64)
    weights = Weights(model)
    before = model(x)[0]
    with weights.substituted(2 * weights.read()):
        looked = model(x)[0]
    assert torch.equal(model(x)[0], before)
    weights.write(2 * weights.read())
    assert torch.equal(looked, model(x)[0])


def test_filters_are_rows_of_linear_and_output_channels_of_convolutions():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ConvTranspose2d(2, 3, 1), nn.Linear(2, 2)
    )
    index = Weights(model).filter_index().tolist()
    conv, norm, transposed, linear = [0, 1, -1, -1], [-1] * 4, [2, 3, 4, 2, 3, 4], [5, 5, 6, 6]
    assert index == [*conv, *norm, *transposed, -1, -1, -1, *linear, -1, -1]


def test_a_matrix_shaped_normalisation_weight_is_no_filter():
    assert Weights(nn.LayerNorm((2, 3))).filter_index().tolist() == [-1] * 12


def test_a_point_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"must have shape \(3,\). Got \(4,\)."):
        Weights(nn.Linear(2, 1)).write(torch.zeros(4))


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="no trainable parameters"):
        Weights(nn.ReLU())


def test_empty_parameters_keep_their_shape():
    net = nn.Linear(2, 3)
    net.register_parameter("nothing", nn.Parameter(torch.zeros(0, 4)))
    weights = Weights(net)
    w = torch.arange(float(weights.n))
    for cut, split in zip(weights.cut(w), weights.split(w), strict=True):
        assert cut.shape == split.shape
        assert torch.equal(cut, split)


def test_cut_is_split_for_points_without_a_graph():
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Linear(3, 2))
    weights = Weights(net.to(memory_format=torch.channels_last))
    w = torch.randn(weights.n)
    for cut, split in zip(weights.cut(w), weights.split(w), strict=True):
        assert cut.stride() == split.stride()
        assert torch.equal(cut, split)


def tied_by_data(net):
    net[2].weight.data = net[0].weight.data


def a_buffer_on_a_weight(net):
    net.register_buffer("copy", net[0].weight.data)


def a_part_of_another(net):
    net.part = nn.Parameter(net[0].weight.data[1:, 1:])


def a_frozen_one_on_a_weight(net):
    net[2].weight = nn.Parameter(net[0].weight.data, requires_grad=False)


@pytest.mark.parametrize(
    "share", [tied_by_data, a_buffer_on_a_weight, a_part_of_another, a_frozen_one_on_a_weight]
)
def test_two_tensors_in_one_memory_are_refused(share):
    """Moved one by one they would be independent; torch moves them together."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    share(net)
    with pytest.raises(ValueError, match=r"lie in one memory.*by assigning the parameter"):
        Weights(net)


def test_parts_of_one_block_of_memory_are_apart():
    block = torch.randn(20)
    net = nn.Module()
    net.a, net.b = nn.Parameter(block[:12].view(3, 4)), nn.Parameter(block[12:])
    net.constant = nn.Parameter(torch.ones(3), requires_grad=False)
    net.register_buffer("again", net.constant.data)
    assert Weights(net).n == 20
