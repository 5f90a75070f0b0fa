"""Every architecture: parameter count by hand, output shape, and where the classes are read."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.models import MODELS, convnet, lenet, mlp, resnet18, resnet34, resnet50
from landscape.models.head import head
from landscape.models.resnet import BasicBlock, Bottleneck

pytestmark = pytest.mark.slow  # runs the program from end to end

COLOUR = (3, 3, 32, 32)
INPUTS = {
    "mlp": (3, 1, 8, 8),
    "convnet": (3, 1, 8, 8),
    "lenet": (3, 1, 28, 28),
    "resnet18": COLOUR,
    "resnet34": COLOUR,
    "resnet50": COLOUR,
    "resnet56": COLOUR,
    "wrn28-10": COLOUR,
    "wrn34-10": COLOUR,
    "pyramidnet110": COLOUR,
    "pyramidnet272": COLOUR,
    "vit": COLOUR,
}
PARAMETERS = {
    "mlp": 4_810,
    "convnet": 9_978,
    "lenet": 61_706,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "resnet56": 853_018,
    "wrn28-10": 36_479_194,
    "wrn34-10": 46_160_474,
    "pyramidnet110": 1_772_706,
    "pyramidnet272": 26_210_842,
    "vit": 2_693_578,
}
ELSEWHERE = {"text-transformer", "language-model", "torchvision", "timm", "transformers", "unet"}
ELSEWHERE |= {"sequence-classifier", "pair-transformer"}
SMALL = ["mlp", "convnet", "lenet", "resnet18", "resnet56", "pyramidnet110", "vit"]


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_every_registered_model_is_tested():
    assert set(MODELS) - ELSEWHERE == set(INPUTS) == set(PARAMETERS)


DEEP = pytest.param("pyramidnet272", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [*(name for name in INPUTS if name != "pyramidnet272"), DEEP])
def test_parameter_count_and_output_shape(name):
    """On torch's meta device, where nothing is computed but shapes."""
    with torch.device("meta"):
        model, x = MODELS[name](classes=10), torch.empty(INPUTS[name])
        assert count(model) == PARAMETERS[name]
        assert model(x).shape == (3, 10)
        assert MODELS[name](classes=7)(x).shape == (3, 7)


def test_without_skips():
    """The projections go, and nothing else: ResNet-56 has none that has parameters."""
    with torch.device("meta"):
        assert count(resnet18(skip=False)) == 11_000_138
        for factory in (resnet18, resnet34, resnet50):
            gone = sum(p.numel() for n, p in factory().named_parameters() if "shortcut" in n)
            assert count(factory()) - count(factory(skip=False)) == gone > 0
            assert factory(skip=False)(torch.empty(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", SMALL)
def test_the_last_linear_layer_is_the_head(name):
    """The output is affine in the last Linear: raise its bias by one and each logit follows."""
    model = MODELS[name]().eval()
    x = torch.randn(INPUTS[name], generator=torch.Generator().manual_seed(0))
    *_, (last, head) = ((n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        before = model(x)
        head.bias += 1
        torch.testing.assert_close(model(x), before + 1)
    assert last == "head"


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides_the_weights(name):
    def weights(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.utils.parameters_to_vector(MODELS[name]().parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_mlp_by_hand():
    """One hidden unit: v · relu(w·x + b) + c, on an input of shape (batch, 1, 2)."""
    model = mlp(inputs=2, hidden=(1,), classes=1)
    with torch.no_grad():
        for p, value in zip(
            model.parameters(), ([[2.0, -1.0]], [0.5], [[3.0]], [1.0]), strict=True
        ):
            p.copy_(torch.tensor(value))
    x = torch.tensor([[[1.0, 1.0]], [[0.0, 4.0]]])
    torch.testing.assert_close(model(x), torch.tensor([[3 * 1.5 + 1], [1.0]]))


def standardised(x: torch.Tensor) -> torch.Tensor:
    """Batch norm in training, at its initial scale 1 and shift 0."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_convnet_written_out():
    model, x = convnet().double(), random(5, 1, 8, 8)
    w1, _, _, w2, _, _, v, c = model.parameters()
    h = standardised(F.conv2d(x, w1, padding=1)).relu()
    h = standardised(F.conv2d(h, w2, padding=1)).relu()
    h = h.view(5, 32, 4, 2, 4, 2).mean((3, 5)).reshape(5, 512)
    torch.testing.assert_close(model(x), h @ v.T + c)


def test_lenet_written_out():
    model, x = lenet().double(), random(5, 1, 28, 28)
    w1, b1, w2, b2, v3, b3, v4, b4, v5, b5 = model.parameters()
    h = F.conv2d(x, w1, b1, padding=2).relu().view(5, 6, 14, 2, 14, 2).amax((3, 5))
    h = F.conv2d(h, w2, b2).relu().view(5, 16, 5, 2, 5, 2).amax((3, 5)).reshape(5, 400)
    h = ((h @ v3.T + b3).relu() @ v4.T + b4).relu()
    torch.testing.assert_close(model(x), h @ v5.T + b5)


def test_lenet_of_a_width():
    """Every inner layer is as many times as wide; once is the network without the factor."""
    plain, once, twice = lenet(), lenet(width=1), lenet(width=2)
    shapes = [[tuple(p.shape) for p in model.parameters()] for model in (plain, once, twice)]
    assert shapes[0] == shapes[1]
    assert shapes[2][::2] == [(12, 1, 5, 5), (32, 12, 5, 5), (240, 800), (168, 240), (10, 168)]
    assert sum(p.numel() for p in twice.parameters()) == 244_362
    with pytest.raises(ValueError, match=r"`width` must be a positive integer\. Got 0"):
        lenet(width=0)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("inputs", "stride"), [(4, 1), (4, 2), (3, 1), (3, 2)])
def test_basic_block_written_out(inputs, stride, skip):
    """The shortcut is the identity only where neither channels nor size change."""
    block, x = BasicBlock(inputs, 4, stride, skip).double(), random(5, inputs, 6, 6)
    h = standardised(F.conv2d(x, block.conv1.weight, stride=stride, padding=1)).relu()
    h = standardised(F.conv2d(h, block.conv2.weight, padding=1))
    torch.testing.assert_close(block(x), (h + past(block, x, stride, skip)).relu())


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("inputs", "stride"), [(16, 1), (16, 2), (4, 1)])
def test_bottleneck_written_out(inputs, stride, skip):
    block, x = Bottleneck(inputs, 4, stride, skip).double(), random(5, inputs, 6, 6)
    h = standardised(F.conv2d(x, block.conv1.weight)).relu()
    h = standardised(F.conv2d(h, block.conv2.weight, stride=stride, padding=1)).relu()
    h = standardised(F.conv2d(h, block.conv3.weight))
    torch.testing.assert_close(block(x), (h + past(block, x, stride, skip)).relu())


def past(block: nn.Module, x: torch.Tensor, stride: int, skip: bool) -> torch.Tensor | float:
    """What the shortcut adds."""
    if not skip:
        return 0.0
    if isinstance(block.shortcut, nn.Identity):
        assert stride == 1 and x.shape == block(x).shape
        return x
    return standardised(F.conv2d(x, block.shortcut.conv.weight, stride=stride))


def test_resnet_written_out():
    """Stem, four stages, mean over the image, head."""
    model, x = resnet18().double(), random(2, 3, 8, 8)
    h = standardised(F.conv2d(x, model.conv.weight, padding=1)).relu()
    for stage in (model.stage1, model.stage2, model.stage3, model.stage4):
        assert len(stage) == 2
        h = stage(h)
    torch.testing.assert_close(model(x), h.mean((2, 3)) @ model.head.weight.T + model.head.bias)


def test_mlp_without_hidden_layers_is_linear():
    model = mlp(inputs=3, hidden=(), classes=2)
    assert count(model) == 3 * 2 + 2
    assert count(mlp(inputs=3, hidden=(5, 4), classes=2)) == (3 * 5 + 5) + (5 * 4 + 4) + (4 * 2 + 2)


@pytest.mark.parametrize("widths", [{"inputs": 0}, {"hidden": (8, 0)}, {"classes": -1}])
def test_mlp_refuses_an_empty_layer(widths):
    with pytest.raises(ValueError, match="`inputs`, `hidden` and `classes` must be positive"):
        mlp(**widths)


@pytest.mark.parametrize(("factory", "smallest"), [(convnet, 2), (lenet, 12)])
def test_smallest_image(factory, smallest):
    assert factory(size=smallest)(torch.zeros(2, 1, smallest, smallest)).shape == (2, 10)
    with pytest.raises(ValueError, match=rf"at least {smallest}. Got {smallest - 1}."):
        factory(size=smallest - 1)


@pytest.mark.parametrize("size", [9, 13, 32])
def test_other_image_sizes_and_channels(size):
    for factory in (convnet, lenet):
        if factory is convnet or size >= 12:
            assert factory(channels=3, size=size)(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_resnet_stages_halve_the_image_and_double_the_channels():
    model = resnet18().eval()
    shapes = []
    for name, child in model.named_children():
        if name.startswith("stage"):
            child.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]


def test_resnet_convolutions_have_he_variance():
    """Standard deviation √(2 / (9 · out)) for a 3x3 convolution, 1 % off at most: 2.4M draws."""
    conv = resnet18().stage4[1].conv2.weight
    assert conv.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    down = resnet18().stage2[0].conv1.weight  # 64 in, 128 out: fan-out, not fan-in
    assert down.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_a_neck_is_one_more_linear_layer_and_a_zero_head_answers_zero():
    with torch.device("meta"):
        assert count(resnet18(neck=64)) == 11_173_962 - 5_130 + (512 * 64 + 64) + (64 * 10 + 10)
        last = list(MODELS["wrn28-10"](neck=64).named_children())[-2:]
        assert [(name, layer.out_features) for name, layer in last] == [("neck", 64), ("head", 10)]
        with pytest.raises(ValueError, match=r"`neck` must be non-negative. Got -1."):
            resnet18(neck=-1)
    zeros = head(5, 3, zero=True)["head"]
    assert torch.equal(zeros(torch.randn(2, 5)), torch.zeros(2, 3))
