"""Quantisation against numbers by hand and torch's own fake quantisation."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import Quantization
from landscape.measures.quantization import quantized


def rounded(values, bits, groups=None, dtype=torch.float64):
    w = torch.tensor(values, dtype=dtype)
    groups = [0] * len(values) if groups is None else groups
    largest = [max(abs(v) for v, g in zip(values, groups, strict=True) if g == h) for h in groups]
    return quantized(w, torch.tensor(largest, dtype=dtype), bits)


def test_three_bits_by_hand():
    """Levels −3..3 of s = 1/3: −0.5/s = −1.5 goes to the even −2, 0.3/s = 0.9 to 1."""
    found = rounded([1.0, -0.5, 0.3, 0.1, -0.9], 3)
    torch.testing.assert_close(found, rounded([1, -2 / 3, 1 / 3, 0, -1], 32), rtol=1e-8, atol=1e-8)


def test_two_bits_are_three_levels():
    assert rounded([2.0, -1.2, 0.9, 0.0], 2).tolist() == [2.0, -2.0, 0.0, 0.0]


def test_groups_have_their_own_scale_and_zeros_stay():
    found = rounded([1.0, 0.3, 100.0, 30.0, 0.0, 0.0], 3, groups=[0, 0, 1, 1, 2, 2])
    expected = [1.0, 1 / 3, 100.0, 100 / 3, 0.0, 0.0]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_representable_stays_bit_for_bit(bits):
    top = 2 ** (bits - 1) - 1
    scale = torch.tensor(0.7).double() / top
    w = (torch.arange(-top, top + 1, dtype=torch.float64) * scale).float()
    largest = w.abs().max().expand(len(w))
    again = quantized(w, largest, bits)
    assert torch.equal(again, w)
    assert torch.equal(quantized(again, largest, bits), again)


def test_no_weight_moves_by_more_than_half_a_level():
    w = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = quantized(w, w.abs().max().expand(1000), 4)
    assert (found - w).abs().max() <= w.abs().max() / 7 / 2 * (1 + 1e-12)
    assert 13 <= len(found.unique()) <= 15


@pytest.mark.parametrize("name", ["conv", "tied"])
def test_equals_torchs_fake_quantisation(objective, name):
    """Per tensor and per channel; biases and batch norm keep their precision."""
    subject = objective(name)
    record = Quantization()(subject)
    for i, bits in enumerate((8, 4)):
        top = 2 ** (bits - 1) - 1
        for j in range(2):
            model = copy.deepcopy(subject.model).eval()
            for p in model.parameters():
                if p.dim() < 2:
                    continue
                rows = p.detach().flatten(1).abs().amax(1).float() / top
                scale = rows if j else rows.max().expand(len(rows)).contiguous()
                p.data = torch.fake_quantize_per_channel_affine(
                    p.data.float(), scale, torch.zeros(len(rows), dtype=torch.int32), 0, -top, top
                ).double()
            z = torch.cat([model(b.x) for b in subject.batches]).detach()
            y = torch.cat([b.y for b in subject.batches])
            assert record.loss[i, j] == pytest.approx(F.cross_entropy(z, y).item(), rel=1e-5)
            assert record.accuracy[i, j] == pytest.approx((z.argmax(1) == y).double().mean())
    assert record.clean_loss == pytest.approx(subject.value())
    assert (record.error[1] > 5 * record.error[0]).all()


def test_channels_of_a_transposed_convolution():
    """Its outputs lie along the second axis."""
    model = nn.ConvTranspose2d(2, 3, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 10.0, 100.0], [0.3, 3.0, 30.0]]).view(2, 3, 1, 1))
    batch = Batch(torch.eye(2, dtype=torch.float64).view(2, 2, 1, 1), None)
    subject = Objective(model, [batch], lambda m, b: m(b.x)[1].sum())
    record = Quantization(bits=(3,), granularity=("channel",))(subject)
    assert record.loss[0, 0] == pytest.approx(111 / 3 / 1)
    assert np.isnan(record.accuracy).all()


def test_many_bits_change_nothing(objective):
    record = Quantization(bits=(32,))(objective("mlp"))
    np.testing.assert_allclose(record.loss, record.clean_loss, rtol=1e-8)
    assert (record.error < 1e-8).all()


def test_names_of_the_settings(objective):
    record = Quantization()(objective("mlp"))
    assert record.index("int8") == record.index("int8-tensor") == (0, 0)
    assert record.index("int4-channel") == (1, 1)
    with pytest.raises(ValueError, match=r"one of int8-tensor, int8, int8-channel.* Got 'int2'"):
        record.index("int2")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": ()}, "`bits` must be whole numbers from 2 to 32"),
        ({"bits": (1,)}, r"`bits` must be whole numbers from 2 to 32. Got \(1,\)"),
        ({"bits": (8, 8)}, "`bits` must be different ones"),
        ({"granularity": ("row",)}, "`granularity` must be among tensor, channel"),
        ({"granularity": ()}, "`granularity` must be among tensor, channel"),
        ({"granularity": ("tensor", "tensor")}, "`granularity` must be different ones"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Quantization(**settings)
