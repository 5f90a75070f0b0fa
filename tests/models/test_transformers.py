"""The transformers: published sizes, attention written out, masks that hold, a tied head."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.models import language_model, text_transformer, vit
from landscape.models.transformer import Attention, Block


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def tokens(*shape: int, below: int = 50) -> torch.Tensor:
    return torch.randint(1, below, shape, generator=torch.Generator().manual_seed(0))


SMALL = {"width": 16, "depth": 2, "heads": 2}


@pytest.fixture
def classifier():
    return text_transformer(vocabulary=50, length=12, **SMALL).double().eval()


@pytest.fixture
def writer():
    return language_model(vocabulary=50, length=12, **SMALL).double()


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (vit, 2_693_578),
        (text_transformer, 628_610),
        (language_model, 445_952),
        # GPT-2 small; ViT-Ti/16 and ViT-B/16 for ImageNet, as other libraries have them too
        (lambda: language_model(50_257, 1024, 768, 12, 12), 124_439_808),
        (lambda: vit(1000, 3, 224, 16, 192, 12, 3), 5_717_416),
        (lambda: vit(1000, 3, 224, 16, 768, 12, 12), 86_567_656),
    ],
)
def test_parameters(make, parameters):
    with torch.device("meta"):
        assert count(make()) == parameters


@pytest.mark.parametrize("causal", [False, True])
def test_attention_written_out(causal):
    """softmax(Q Kᵀ / √d) V by loops over heads and places."""
    layer, x = Attention(6, heads=2, causal=causal, dropout=0.0).double(), random(1, 4, 6)
    q, k, v = layer.qkv(x)[0].split(6, dim=-1)
    mixed = torch.zeros(4, 6, dtype=torch.float64)
    for head in (slice(0, 3), slice(3, 6)):
        for i in range(4):
            seen = i + 1 if causal else 4
            share = (k[:seen, head] @ q[i, head] / 3**0.5).softmax(0)
            mixed[i, head] = share @ v[:seen, head]
    torch.testing.assert_close(layer(x)[0], layer.out(mixed))


def test_block_written_out():
    block, x = Block(6, heads=2).double(), random(2, 4, 6)
    y = x + block.attention(F.layer_norm(x, (6,)))
    h = F.gelu(block.linear1(F.layer_norm(y, (6,))))
    torch.testing.assert_close(block(x), y + block.linear2(h))


def test_vit_reads_patches_row_by_row():
    """Without blocks and positions, the class token alone is the head's: patches enter by attention
    only, and two images that differ in one patch differ in that token's row of positions.
    """
    model = vit(classes=4, channels=1, size=8, patch=4, **SMALL).double()
    x = random(2, 1, 8, 8)
    patches = (
        x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 1, 3, 5).reshape(2, 4, 16)
    )
    tokens = patches @ model.patches.weight.flatten(1).T + model.patches.bias
    h = torch.cat((model.class_token.expand(2, 1, 16), tokens), 1) + model.positions
    for block in model.blocks:
        h = block(h)
    torch.testing.assert_close(model(x), model.head(model.norm(h[:, 0])))
    assert model.positions.std() > 0 and model.class_token.std() > 0


def test_padding_is_neither_looked_at_nor_averaged_over(classifier):
    """A text has the same logits by itself and padded, beside a longer one."""
    short, long = tokens(1, 5), tokens(1, 12)
    padded = F.pad(short, (0, 7))
    together = classifier(torch.cat((padded, long)))
    torch.testing.assert_close(together[:1], classifier(short))
    torch.testing.assert_close(together[1:], classifier(long))


def test_padding_learns_nothing(classifier):
    classifier(F.pad(tokens(2, 5), (0, 3))).sum().backward()
    grad = classifier.tokens.weight.grad
    assert not classifier.tokens.weight[0].any()
    assert not grad[0].any() and grad[tokens(2, 5)].any()


def test_the_order_of_words_counts(classifier):
    x = tokens(1, 6)
    assert not torch.allclose(classifier(x), classifier(x.flip(1)))


def test_an_empty_text_has_finite_logits_and_gradients(classifier):
    logits = classifier(torch.zeros(2, 5, dtype=torch.int64))
    assert logits.isfinite().all()
    logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in classifier.parameters())


def test_the_future_is_not_seen(writer):
    """The logits of places up to i depend on tokens up to i, on all of them, and on no other."""
    x = tokens(1, 8)
    for i in range(8):
        changed = x.clone()
        changed[0, i] = x[0, i] % 49 + 1
        moved = (writer(changed) - writer(x)).abs().amax(-1)[0] > 0
        assert moved.tolist() == [False] * i + [True] * (8 - i)


def test_a_tied_head_is_the_embedding():
    tied, free = (language_model(50, 12, 16, 1, 2, tied=tied) for tied in (True, False))
    assert tied.head.weight is tied.tokens.weight
    assert count(free) - count(tied) == 50 * 16
    assert [n for n, _ in tied.named_parameters() if n == "head.weight"] == []
    tied(tokens(2, 8)).sum().backward()
    unseen = [i for i in range(50) if i not in tokens(2, 8)]
    assert tied.tokens.weight.grad[unseen].any()  # by way of the head


@pytest.mark.parametrize("make", ["classifier", "writer"])
def test_the_fused_kernel_and_the_plain_one_agree(make, request):
    model, x = request.getfixturevalue(make), F.pad(tokens(3, 9), (0, 3))
    with sdpa_kernel(SDPBackend.MATH):
        plain = model(x)
    torch.testing.assert_close(model(x), plain)


def test_dropout_only_in_training():
    model = text_transformer(vocabulary=50, length=12, dropout=0.5, **SMALL)
    x = tokens(4, 12)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_weights_start_small_and_biases_at_zero():
    model = language_model()
    for name, p in model.named_parameters():
        if "norm" in name:
            continue
        if name.endswith("bias"):
            assert not p.any()
        else:
            assert p.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vit(patch=5), "`size` must be a multiple of `patch`. Got 32 and 5."),
        (lambda: vit(heads=5), "`width` must be a multiple of `heads`. Got 192 and 5."),
        (lambda: text_transformer(heads=0), "`width` must be a multiple of `heads`. Got 64 and 0."),
        (lambda: language_model(width=30), "Got 30 and 4."),
        (lambda: text_transformer(length=8)(tokens(1, 9)), "at most 8 positions. Got 9."),
        (lambda: language_model(length=8)(tokens(1, 9)), "at most 8 positions. Got 9."),
    ],
)
def test_sizes_that_do_not_exist(make, message):
    with pytest.raises(ValueError, match=message):
        make()
