"""Batches and models as people have them: named tuples, packed sequences, sparse graphs, casts."""

from collections import namedtuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, unpack_sequence
from torch.utils.data import DataLoader, TensorDataset

from landscape import Objective
from landscape.measures import Eigenvalues, RelativeFlatness, Sharpness
from landscape.measures.space.regrouping import regrouped
from landscape.network.batch import Batch, as_batch, mapped, tensors

Pair = namedtuple("Pair", "a b")
G = torch.Generator().manual_seed(0)


def top(value, parameters):
    """The eigenvalue of largest magnitude of the dense float64 Hessian of value(list)."""
    sizes, shapes = [p.numel() for p in parameters], [p.shape for p in parameters]

    def flat(w):
        return value([t.view(s) for t, s in zip(w.split(sizes), shapes, strict=True)])

    w = torch.cat([p.detach().double().flatten() for p in parameters])
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(flat, w))
    return values[values.abs().argmax()].item()


def largest(objective):
    return Eigenvalues(k=1)(objective).values[0]


def test_a_named_tuple_stays_one():
    batch = Batch(Pair(torch.arange(6.0).view(3, 2), torch.zeros(3)), Pair(torch.arange(3), None))
    assert batch.size == 3 and batch.to("cpu").x.a.shape == (3, 2)
    first, last = batch.shards(2)
    assert first.x.a.tolist() == [[0, 1]] and last.y.a.tolist() == [1, 2] and last.y.b is None
    net, x, y = nn.Linear(2, 2), torch.randn(6, 2, generator=G), torch.arange(6) % 2

    def loss(model, batch):
        return F.cross_entropy(model(batch.x.a), batch.y)

    value = largest(Objective(net, [Batch(Pair(x, x), y)], loss))
    right = top(lambda p: F.cross_entropy(x.double() @ p[0].T + p[1], y), list(net.parameters()))
    assert value == pytest.approx(right, rel=1e-4)


def packed(enforce_sorted):
    lengths = [4, 3, 2] if enforce_sorted else [2, 4, 3]
    sequences = [torch.randn(n, 2, generator=G).double() for n in lengths]
    return sequences, pack_sequence(sequences, enforce_sorted=enforce_sorted)


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_a_packed_sequence_counts_and_is_cut_by_sequences(enforce_sorted):
    sequences, x = packed(enforce_sorted)
    batch = Batch(x, torch.arange(3))
    assert batch.size == 3
    net = nn.GRU(2, 3).double()
    whole = net(x)[1][0]
    parts = [net(shard.to("cpu").x)[1][0] for shard in batch.shards(3)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert mapped(x, lambda t: t.float()).data.dtype == torch.float32
    with pytest.raises(ValueError, match="cannot be stacked"):
        batch.stacked(3)
    assert len(list(tensors(x))) == (2 if enforce_sorted else 4)
    assert len(sequences) == 3


def test_an_objective_on_packed_sequences_is_that_on_each_sequence():
    sequences, x = packed(False)
    net, y = nn.Sequential(nn.GRU(2, 3)).double(), torch.tensor([0, 2, 1])

    def loss(model, batch):
        return F.cross_entropy(model(batch.x)[1][0], batch.y)

    objective = Objective(net, [Batch(x, y)], loss)
    single = [F.cross_entropy(net(s[:, None])[1][0], y[i : i + 1]) for i, s in enumerate(sequences)]
    assert objective.value() == pytest.approx(torch.stack(single).mean().item(), rel=1e-12)
    v, h = objective.grad(), 1e-5
    numeric = (objective.grad(objective.w + h * v) - objective.grad(objective.w - h * v)) / (2 * h)
    torch.testing.assert_close(objective.hvp(v), numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_a_sparse_adjacency_is_data(layout):
    dense = (torch.rand(6, 6, generator=G) > 0.5).double()
    sparse = dense.to_sparse() if layout == "coo" else dense.to_sparse_csr()
    x, y = torch.randn(6, 3, generator=G).double(), torch.arange(6) % 2
    net = nn.Linear(3, 2).double()

    def loss(model, batch):
        return F.cross_entropy(torch.sparse.mm(batch.x["adjacency"], model(batch.x["x"])), batch.y)

    objective = Objective(net, [Batch({"adjacency": sparse, "x": x}, y)], loss)
    right = top(lambda p: F.cross_entropy(dense @ (x @ p[0].T + p[1]), y), list(net.parameters()))
    assert largest(objective) == pytest.approx(right, rel=1e-4)
    other = Objective(net, [Batch({"adjacency": 2 * sparse, "x": x}, y)], loss)
    assert objective.fingerprint != other.fingerprint
    (rise,) = Sharpness(radii=(0.1,), steps=1, restarts=0)(objective).one_step[0]
    g = objective.grad()
    right = objective.value(objective.w + 0.1 * g / g.norm()) - objective.value()
    assert rise == pytest.approx(right)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_rows_of_sparse_data(layout):
    dense = (torch.rand(6, 4, generator=G) > 0.5).double()
    first, last = Batch(dense.to_sparse(layout=layout), torch.arange(6)).shards(2)
    assert first.x.layout is last.x.layout is layout
    assert torch.equal(first.x.to_dense(), dense[:3]) and torch.equal(last.x.to_dense(), dense[3:])
    assert last.y.tolist() == [3, 4, 5]


def test_one_shard_is_the_batch():
    batch = Batch(torch.ones(3, 1), torch.zeros(3), weight=2.0)
    assert batch.shards(1) == [batch]


@pytest.mark.parametrize("bag", [False, True])
def test_sparse_gradients_of_embeddings_are_dense_here(bag):
    torch.manual_seed(0)
    kind = nn.EmbeddingBag if bag else nn.Embedding
    table = kind(5, 3, sparse=True, **({"mode": "sum"} if bag else {})).double()
    i, y = torch.tensor([[0, 1], [1, 3], [4, 4]]), torch.tensor([0, 2, 1])

    def loss(model, batch):
        answer = model(batch.x)
        return F.cross_entropy(answer if bag else answer.sum(1), batch.y)

    objective = Objective(table, [Batch(i, y)], loss)
    right = top(lambda p: F.cross_entropy(p[0][i].sum(1), y), [table.weight])
    assert largest(objective) == pytest.approx(right, rel=1e-4)
    assert table.sparse


class Casting(nn.Module):
    """In bfloat16, with casts of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = torch.tanh(self.a(x.to(torch.bfloat16)).float()).bfloat16()
        return self.b(h + torch.zeros(4, dtype=torch.bfloat16))


def test_casts_inside_a_model_of_few_bits_are_raised():
    torch.manual_seed(0)
    net, x, y = Casting().bfloat16(), torch.randn(8, 3, generator=G), torch.arange(8) % 2

    def loss(model, batch):
        return F.cross_entropy(model(batch.x), batch.y)

    def value(p):
        h = torch.tanh(x.double() @ p[0].T + p[1])
        return F.cross_entropy(h @ p[2].T + p[3], y)

    objective = Objective(net, [Batch(x, y)], loss)
    assert largest(objective) == pytest.approx(top(value, list(net.parameters())), rel=1e-4)


def test_what_has_no_weights_to_move_is_refused():
    def loss(model, batch):
        return model(batch.x).sum()

    batch = Batch(torch.ones(2, 3), None)
    lazy = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(ValueError, match=r"'0.weight' has no shape yet. Run one batch"):
        Objective(lazy, [batch], loss)
    lazy(batch.x)
    assert Objective(lazy, [batch], loss).weights.n == 8
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"TorchScript modules .*torch.jit.load\(path\)"):
        Objective(scripted, [batch], loss)


def test_a_graph_of_pyg_is_told_to_be_a_dict():
    class DataBatch:
        edge_index = to_dict = num_graphs = None

    with pytest.raises(ValueError, match=r"Got DataBatch. Of a graph, Batch\(data.to_dict\(\)"):
        as_batch(DataBatch())


@pytest.mark.slow  # torch.compile takes seconds to import
def test_a_compiled_model_is_measured_as_the_model_itself():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    batch = Batch(torch.randn(8, 3, generator=G), torch.arange(8) % 2)

    def loss(model, batch):
        return F.cross_entropy(model(batch.x), batch.y)

    compiled, plain = (
        Objective(m, [batch], loss) for m in (torch.compile(net, backend="eager"), net)
    )
    for layer in (None, "2"):
        found, right = (RelativeFlatness(layer=layer)(o) for o in (compiled, plain))
        assert (found.value, found.layer) == (right.value, right.layer)


def test_a_padded_sequence_packed_by_hand_is_the_same_data():
    x = torch.randn(3, 4, 2, generator=G)
    one = pack_padded_sequence(x.transpose(0, 1), [4, 3, 2])
    assert Batch(one, torch.zeros(3)).rows(slice(0, 2)).size == 2


def beside(x):
    """The same examples with names, and weights in an array, beside the tensor."""
    return {
        "x": x,
        "name": [f"{i}.png" for i in range(len(x))],
        "weight": np.arange(1.0, len(x) + 1),
    }


def weighted_by_array(model, batch):
    assert len(batch.x["name"]) == len(batch.x["weight"]) == len(batch.x["x"])
    errors = F.cross_entropy(model(batch.x["x"]), batch.y, reduction="none")
    batch.x["weight"] *= 1.0 + 0 * len(batch.x["name"].pop())
    return (errors * torch.from_numpy(batch.x["weight"])).mean()


def weighted_by_tensor(model, batch):
    errors = F.cross_entropy(model(batch.x["x"]), batch.y, reduction="none")
    return (errors * batch.x["weight"]).mean()


@pytest.mark.parametrize("m", [7, 100])
def test_arrays_and_lists_go_with_their_examples(m):
    net, y = nn.Linear(2, 2).double(), torch.arange(30) % 2
    x = torch.randn(30, 2, generator=G).double()
    pieces = slice(0, 18), slice(18, 30)
    held = [Batch(beside(x[rows]), y[rows]) for rows in pieces]
    measure = Sharpness(radii=(0.1,), m=m, steps=2)
    found = measure(Objective(net, held, weighted_by_array))
    tensors = [Batch({"x": b.x["x"], "weight": torch.from_numpy(b.x["weight"])}, b.y) for b in held]
    expected = measure(Objective(net, tensors, weighted_by_tensor))
    np.testing.assert_allclose(found.sharpness, expected.sharpness, rtol=1e-12)
    assert len(held[0].x["name"]) == 18 and held[0].x["weight"].tolist() == list(range(1, 19))


@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_rows_of_sparse_tensors(sparse):
    x = torch.eye(20, 3)
    some = Batch(sparse(x), torch.zeros(20)).rows(torch.tensor([2, 0, 5])).x
    assert some.layout is sparse(x).layout and torch.equal(some.to_dense(), x[[2, 0, 5]])


def test_named_tuples_and_packed_sequences_are_joined():
    (_, one), (_, other) = packed(True), packed(False)
    (whole,) = regrouped([Batch(Pair(p, torch.zeros(3)), torch.arange(3)) for p in (one, other)], 9)
    assert whole.size == 6 and isinstance(whole.x, Pair) and whole.x.b.shape == (6,)
    lengths = [len(sequence) for sequence in unpack_sequence(whole.x.a)]
    assert lengths == [4, 3, 2, 2, 4, 3]


def test_nested_tensors_are_refused():
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged)
    with pytest.raises(ValueError, match=r"holds nested tensors.*pad them"):
        Objective(nn.Linear(2, 2), [(nested, torch.zeros(2))], lambda m, b: m.weight.sum())


def test_the_generator_of_a_loader_comes_back():
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    examples = TensorDataset(torch.randn(6, 2, generator=G), torch.arange(6) % 2)
    loader = DataLoader(examples, batch_size=2, shuffle=True, generator=generator)
    Objective(nn.Linear(2, 2), loader, lambda m, b: F.cross_entropy(m(b.x), b.y))
    assert torch.equal(before, generator.get_state())
