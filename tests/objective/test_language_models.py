"""What language models are measured with, each against the plain network: int8 base and adapters,
checkpointed blocks, and cross-entropy in checkpointed chunks.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from landscape.measures import Eigenvalues
from landscape.objective.objective import Objective

pytestmark = pytest.mark.slow  # runs the program from end to end

FLOAT64 = torch.float64
VOCABULARY = 11


class Block(nn.Module):
    """Causal attention of one head and a feed-forward layer, both pre-norm."""

    def __init__(self, width=8):
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Language(nn.Module):
    """Predicts the next token: the logits are those of `head`, tied to the embedding or not."""

    def __init__(self, recompute=False, width=8, tied=False):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        self.recompute = recompute

    def hidden(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        return x

    def forward(self, tokens):
        return self.head(self.hidden(tokens))


def language(dtype=FLOAT64, **options):
    torch.manual_seed(0)
    return Language(**options).to(dtype)


def text(n=6, length=5):
    g = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, VOCABULARY, (n, length + 1), generator=g)
    return [(tokens[:4, :-1], tokens[:4, 1:]), (tokens[4:, :-1], tokens[4:, 1:])]


def next_token(model, batch):
    return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten())


def in_chunks(model, batch):
    """The same loss, with the logits of three positions at a time, which are made anew."""

    def of_chunk(hidden, y):
        return F.cross_entropy(F.linear(hidden, model.head.weight), y, reduction="sum")

    hidden, y = model.hidden(batch.x).flatten(0, 1), batch.y.flatten()
    pairs = zip(hidden.split(3), y.split(3), strict=True)
    return sum(checkpoint(of_chunk, *pair, use_reentrant=False) for pair in pairs) / len(y)


def away(objective):
    g = torch.Generator().manual_seed(2)
    v = torch.randn(objective.weights.n, 2, generator=g, dtype=objective.w.dtype)
    return objective.w + 0.1 * v[:, 0], v[:, 1]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("loss", [next_token, in_chunks])
def test_checkpointed_blocks_and_chunks_are_the_plain_network_at_every_point(recompute, tied, loss):
    plain = Objective(language(tied=tied), text(), next_token, memory=2**30)
    other = Objective(language(recompute=recompute, tied=tied), text(), loss, memory=2**30)
    point, v = away(plain)
    for at in (None, point):
        assert other.value(at) == pytest.approx(plain.value(at), rel=1e-12)
        torch.testing.assert_close(other.grad(at), plain.grad(at))
        torch.testing.assert_close(other.hvp(v, at), plain.hvp(v, at))
        torch.testing.assert_close(other.hvp(2 * v, at), 2 * plain.hvp(v, at))


@pytest.mark.parametrize("loss", [next_token, in_chunks])
def test_a_recomputing_network_keeps_no_graphs_whatever_the_memory(loss):
    objective = Objective(language(recompute=loss is next_token), text(), loss, memory=2**30)
    objective.hvp(objective.w)
    assert objective.keeps_graphs is False


class Quantized(nn.Module):
    """A linear layer whose weight is int8, with a scale for each row, and is frozen."""

    def __init__(self, layer, held):
        super().__init__()
        scale = layer.weight.detach().abs().amax(1, keepdim=True) / 127
        whole = (layer.weight.detach() / scale).round().to(torch.int8)
        if held == "parameter":
            self.whole = nn.Parameter(whole, requires_grad=False)
        else:
            self.register_buffer("whole", whole)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach())

    def forward(self, x):
        return F.linear(x, self.whole.to(x.dtype) * self.scale, self.bias)

    def plain(self):
        layer = nn.Linear(*self.whole.shape[::-1], bias=self.bias is not None)
        layer.weight = nn.Parameter(self.whole.double() * self.scale.double(), requires_grad=False)
        layer.bias = self.bias
        return layer


class Adapted(nn.Module):
    """A layer and a low-rank correction of it."""

    def __init__(self, base, rank=2):
        super().__init__()
        rows, columns = (base.whole if isinstance(base, Quantized) else base.weight).shape
        self.base = base
        self.lora_a = nn.Parameter(torch.randn(rank, columns) / 3)
        self.lora_b = nn.Parameter(torch.randn(rows, rank) / 3)

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.lora_a), self.lora_b)


def adapted(held, dtype, freeze=True):
    model = language(torch.float32)
    for name in ("up", "down", "out"):
        for block in model.blocks:
            setattr(block, name, Adapted(Quantized(getattr(block, name), held)))
    for name, p in model.named_parameters():
        p.requires_grad_(p.requires_grad and not (freeze and "lora" not in name))
    model = model.to(dtype)
    plain = copy.deepcopy(model)
    for layer in [m for m in plain.modules() if isinstance(m, Adapted)]:
        layer.base = layer.base.plain()
    return model, plain.to(torch.float64)


@pytest.mark.parametrize("held", ["parameter", "buffer"])
@pytest.mark.parametrize("freeze", [True, False])
def test_adapters_over_an_int8_base_are_those_over_the_same_weights_in_float64(held, freeze):
    model, plain = adapted(held, torch.float32, freeze)
    pattern = "" if freeze else "lora"
    here = Objective(model, text(), next_token, parameters=pattern)
    truth = Objective(plain, text(), next_token, parameters="lora")
    assert here.weights.names == truth.weights.names
    assert here.value() == pytest.approx(truth.value(), rel=1e-5)
    torch.testing.assert_close(here.grad().double(), truth.grad(), rtol=1e-3, atol=1e-5)
    values = [Eigenvalues(k=3)(objective).values for objective in (here, truth)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_weights_in_bfloat16_are_measured_in_float32_the_int8_base_too():
    model, plain = adapted("buffer", torch.bfloat16)
    here, truth = (Objective(m, text(), next_token) for m in (model, plain))
    assert here.w.dtype is torch.float32
    assert here.precision.dtype == "bfloat16"
    assert here.value() == pytest.approx(truth.value(), rel=1e-5)
    values = [Eigenvalues(k=2)(objective).values for objective in (here, truth)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor")
def test_quantised_modules_of_torch_have_values_and_no_derivatives():
    """Their operations have no gradient: that of an adapter below them came out half as large."""
    quantised = torch.ao.nn.quantized.dynamic.Linear(8, 8)
    model = nn.Sequential(nn.Embedding(VOCABULARY, 8), quantised, nn.Linear(8, VOCABULARY))
    objective = Objective(model, text(), next_token)
    assert objective.value() > 0
    with pytest.raises(ValueError, match="is a quantised module of torch"):
        objective.grad()
