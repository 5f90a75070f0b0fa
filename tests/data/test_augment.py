"""Crop and flip of a batch against one image at a time, by search through all outcomes."""

import itertools

import pytest
import torch

from landscape.data.images import crop_and_flip


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outcomes(image: torch.Tensor, padding: int, fill: tuple[float, ...]) -> torch.Tensor:
    """All crops of the padded image, plain and mirrored, pixel by pixel: (2(2p+1)², c, h, w)."""
    c, h, w = image.shape
    results = []
    places = range(2 * padding + 1)
    for top, left, flip in itertools.product(places, places, (False, True)):
        out = torch.empty_like(image)
        for k, i, j in itertools.product(range(c), range(h), range(w)):
            row, column = top + i - padding, left + (w - 1 - j if flip else j) - padding
            inside = 0 <= row < h and 0 <= column < w
            out[k, i, j] = image[k, row, column] if inside else fill[k]
        results.append(out)
    return torch.stack(results)


@pytest.mark.parametrize(("shape", "padding"), [((3, 5, 4), 2), ((1, 2, 3), 3), ((2, 4, 4), 0)])
def test_each_image_is_one_of_its_own_crops(shape, padding):
    """Exact, on images of distinct pixels, also where the padding is wider than the image."""
    fill = tuple(-1.0 - k for k in range(shape[0]))
    x = torch.randperm(20 * 60, generator=seeded(0))[: 20 * torch.Size(shape).numel()]
    x = x.float().view(20, *shape)
    kept = x.clone()
    y = crop_and_flip(x, seeded(1), padding=padding, fill=fill)
    assert torch.equal(x, kept)
    assert y.shape == x.shape
    assert y.is_contiguous()
    for image, result in zip(x, y, strict=True):
        assert any(torch.equal(result, candidate) for candidate in outcomes(image, padding, fill))


def test_all_outcomes_are_equally_likely():
    """18 outcomes for padding 1, 18,000 draws: 1,000 of each, within 5 standard deviations."""
    image = torch.arange(1.0, 13.0).view(1, 3, 4)
    expected = outcomes(image, 1, (0.0,)).flatten(1)
    drawn = crop_and_flip(image.expand(18_000, 1, 3, 4), seeded(0), padding=1).flatten(1)
    hits = (drawn[:, None] == expected).all(-1)
    assert torch.equal(hits.sum(1), torch.ones(18_000, dtype=torch.int64))
    assert (hits.sum(0) - 1000).abs().max() < 5 * (18_000 / 18 * 17 / 18) ** 0.5


def test_the_generator_decides_and_moves_on():
    x = torch.randn(8, 3, 6, 6, generator=seeded(0))
    generator = seeded(1)
    first, second = crop_and_flip(x, generator), crop_and_flip(x, generator)
    assert torch.equal(first, crop_and_flip(x, seeded(1)))
    assert not torch.equal(first, second)


def test_one_fill_serves_all_channels():
    x = torch.zeros(16, 3, 6, 6)
    same = crop_and_flip(x, seeded(0), fill=(5.0,))
    assert torch.equal(same, crop_and_flip(x, seeded(0), fill=(5.0, 5.0, 5.0)))
    assert set(same.unique().tolist()) == {0.0, 5.0}


def test_other_types_stay():
    x = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    assert crop_and_flip(x, seeded(0)).dtype == torch.float64


def test_negative_padding_is_refused():
    with pytest.raises(ValueError, match=r"`padding` must be non-negative. Got -1."):
        crop_and_flip(torch.zeros(1, 1, 2, 2), seeded(0), padding=-1)


@pytest.mark.gpu
def test_cuda_gives_the_same_images():
    x = torch.randn(256, 3, 32, 32, generator=seeded(0))
    there = crop_and_flip(x.cuda(), seeded(1), fill=(1.0, 2.0, 3.0))
    assert there.is_cuda
    assert torch.equal(crop_and_flip(x, seeded(1), fill=(1.0, 2.0, 3.0)), there.cpu())
