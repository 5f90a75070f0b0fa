"""Derivatives of embeddings are those of the loss, whatever their settings do to gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import landscape as ls
from landscape.network.isolation import exact_embeddings

G = torch.Generator().manual_seed(4)
X, Y = torch.randint(7, (10, 5), generator=G), torch.randint(3, (10,), generator=G)
SETTINGS = [{"scale_grad_by_freq": True}, {"padding_idx": 0}, {"sparse": True}]


class Words(nn.Module):
    """Means of words, of which a table may name one that stands for no word."""

    def __init__(self, bag=False, masked=False, **options):
        super().__init__()
        self.table = (nn.EmbeddingBag if bag else nn.Embedding)(7, 4, **options)
        self.head, self.bag, self.masked = nn.Linear(4, 3), bag, masked
        nn.init.normal_(self.table.weight)

    def forward(self, x):
        words = self.table(x)
        if self.masked and self.table.padding_idx is not None:
            words = words * (x != self.table.padding_idx)[..., None]
        return self.head((words if self.bag else words.mean(1)).tanh())


def mean_loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def objective(**options):
    torch.manual_seed(4)
    return ls.Objective(Words(**options).double(), [(X[:6], Y[:6]), (X[6:], Y[6:])], mean_loss)


def slopes(function, w, h=1e-5):
    steps = h * torch.eye(len(w), dtype=w.dtype)
    rises = [torch.as_tensor(function(w + e) - function(w - e), dtype=w.dtype) for e in steps]
    return torch.stack(rises) / (2 * h)


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("reads", [{}, {"bag": True}, {"masked": True}])
def test_gradient_and_hessian_are_those_of_the_loss(reads, options):
    """The row that stands for no word has its own, except where the model leaves it out."""
    found = objective(**reads, **options)
    close = {"rtol": 0, "atol": 1e-9}
    torch.testing.assert_close(found.grad(), slopes(found.value, found.w), **close)
    if "bag" not in reads:  # of which torch has no second derivative
        hessian = found.hvp(torch.eye(found.weights.n, dtype=torch.float64))
        torch.testing.assert_close(hessian, slopes(found.grad, found.w), **close)
    assert bool(found.grad()[:4].any()) == (not reads or "padding_idx" not in options)


def test_gradients_are_divided_by_no_frequency():
    plain, scaled = objective(), objective(scale_grad_by_freq=True)
    assert torch.equal(plain.grad(), scaled.grad())
    values = [ls.measures.Eigenvalues(k=3)(o).values.tolist() for o in (plain, scaled)]
    assert values[0] == values[1]


def test_modules_keep_what_they_say_and_torch_its_functions():
    table = nn.Embedding(5, 2, padding_idx=1, scale_grad_by_freq=True, sparse=True)
    kept = F.embedding, F.embedding_bag
    with pytest.raises(KeyError), exact_embeddings(), exact_embeddings():
        assert (table.padding_idx, table.scale_grad_by_freq, table.sparse) == (1, True, True)
        table(torch.tensor([1, 1])).sum().backward()
        assert table.weight.grad[1].tolist() == [2.0, 2.0]
        raise KeyError
    assert (F.embedding, F.embedding_bag) == kept
