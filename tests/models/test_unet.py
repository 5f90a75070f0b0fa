"""U-Net: its size, and that a pixel's answer sees its surroundings at three scales."""

import pytest
import torch

from landscape.models import unet


def test_parameters_and_shapes():
    model = unet()
    assert sum(p.numel() for p in model.parameters()) == 29_795
    assert model.mid[0].weight.shape == (32, 16, 3, 3) and model.mid[0].bias is None
    assert model(torch.zeros(2, 1, 24, 24)).shape == (2, 24, 24, 3)
    assert unet(channels=3, classes=5, width=4)(torch.zeros(2, 3, 16, 32)).shape == (2, 16, 32, 5)


@pytest.mark.parametrize("distance", [1, 6, 11])
def test_what_a_pixel_sees(distance):
    torch.manual_seed(0)
    model, x = unet().eval(), torch.rand(1, 1, 24, 24, requires_grad=True)
    (g,) = torch.autograd.grad(model(x)[0, 12, 12].sum(), x)
    assert g[0, 0, 12 - distance, 12] != 0
