"""Steps of models that keep, draw or lay out their numbers in unusual ways."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import landscape as ls
from landscape.methods.walker.passes import Passes
from landscape.network.weights import Weights

torch.manual_seed(0)
X, Y = torch.randn(16, 5, dtype=torch.float64), torch.randint(0, 3, (16,))
BATCH = ls.Batch(X, Y)
IDS = ls.Batch(torch.randint(0, 6, (16,)), Y)


def cross_entropy(model: nn.Module, batch: ls.Batch) -> Tensor:
    return F.cross_entropy(model(batch.x), batch.y)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, 0.9)


def sam_step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]):
    optimizer.zero_grad()
    loss().backward()
    grads = [p.grad.to_dense().clone() for p in model.parameters() if p.requires_grad]
    ps = [p for p in model.parameters() if p.requires_grad]
    old, norm = [p.detach().clone() for p in ps], sum(g.pow(2).sum() for g in grads).sqrt()
    with torch.no_grad():
        for p, g in zip(ps, grads, strict=True):
            p.add_(0.05 * g / norm)
    optimizer.zero_grad()
    loss().backward()
    with torch.no_grad():
        for p, q in zip(ps, old, strict=True):
            p.copy_(q)
    optimizer.step()


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-10)


def assert_plain(make, optimizer, batch=BATCH, steps=3) -> None:
    a = make().double()
    b = copy.deepcopy(a)
    ours, plain = optimizer(a), optimizer(b)
    stepper = ls.optim.wrap(ls.methods.SAM(rho=0.05), a, ours, cross_entropy)
    for _ in range(steps):
        stepper.step(batch)
        sam_step(b, plain, lambda: cross_entropy(b, batch))
    assert_same(a, b)


class Table(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.table, self.head = nn.Embedding(6, 5, **options), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.table(x))


def test_sparse_embeddings_step_as_in_a_plain_loop() -> None:
    assert_plain(lambda: Table(sparse=True), sgd, IDS)


def penalised(model: nn.Module, batch: ls.Batch) -> torch.Tensor:
    loss = cross_entropy(model, batch)
    if not loss.requires_grad:
        return loss
    (slope,) = torch.autograd.grad(loss, model.table.weight, create_graph=True)
    return loss + slope.square().sum()


@pytest.mark.parametrize("loss", [cross_entropy, penalised])
def test_sparse_embeddings_can_be_differentiated_again(loss) -> None:
    ends = []
    for sparse in (False, True):
        torch.manual_seed(1)
        model = Table(sparse=sparse).double()
        method = "sam" if loss is penalised else ls.methods.LETS(hessian="exact")
        held_out = None if loss is penalised else [IDS]
        stepper = ls.optim.wrap(method, model, sgd(model), loss, held_out=held_out)
        stepper.step(IDS)
        ends.append(model)
    assert_same(*ends)


@pytest.mark.parametrize("options", [{"padding_idx": 2}, {"scale_grad_by_freq": True}])
def test_steps_take_the_gradients_of_embeddings_that_torch_gives(options) -> None:
    assert_plain(lambda: Table(**options), sgd, IDS)


@pytest.mark.parametrize("options", [{"padding_idx": 2}, {"scale_grad_by_freq": True}])
def test_products_of_a_step_are_those_of_the_loss(options) -> None:
    torch.manual_seed(0)
    model = Table().double()
    right = ls.Objective(model, [IDS], cross_entropy)
    v = torch.randn(right.weights.n, dtype=torch.float64)
    expected = right.hvp(v)
    for name, value in options.items():
        setattr(model.table, name, value)
    weights = Weights(model)
    passes = Passes(model, weights, cross_entropy, 0, True, None)
    leaf = weights.read().requires_grad_()
    found = passes.product(cross_entropy, IDS, leaf, v)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_sparse_adam_is_refused() -> None:
    model = Table(sparse=True)
    with pytest.raises(ValueError, match="SparseAdam"):
        ls.optim.wrap("sam", model, torch.optim.SparseAdam(model.parameters()), cross_entropy)


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}])
def test_a_gradient_has_the_strides_of_its_parameter(options) -> None:
    def make() -> nn.Module:
        model = nn.Linear(5, 3).double()
        model.weight = nn.Parameter(torch.randn(5, 3, dtype=torch.float64).t())
        return model

    assert_plain(make, lambda m: torch.optim.Adam(m.parameters(), 0.01, **options))


class Keeping(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(5, 4), nn.Linear(4, 3), 0
        self.mean = torch.zeros(4, dtype=torch.float64)

    def forward(self, x):
        features = torch.tanh(self.body(x))
        logits = self.head(features - self.mean)
        self.calls += 1
        self.mean = features.detach().mean(0)
        return logits


class Drawing(nn.Linear):
    def forward(self, x):
        return super().forward(x) * np.random.rand()


@pytest.mark.parametrize("make", [Keeping, lambda: Drawing(5, 3)])
def test_shards_of_a_model_that_keeps_or_draws_go_one_by_one(make) -> None:
    torch.manual_seed(1)
    models = [make().double()]
    models.append(copy.deepcopy(models[0]))
    for mode, model in zip(("auto", "sequential"), models, strict=True):
        method = ls.methods.MSAM(num_shards=8, mode=mode)
        stepper = ls.optim.wrap(method, model, sgd(model), cross_entropy)
        for _ in range(3):
            stepper.step(BATCH)
    assert_same(*models)
    assert getattr(models[0], "calls", 24) == 24


def test_vmap_names_what_forbids_it() -> None:
    model = Drawing(5, 3).double()
    method = ls.methods.MSAM(num_shards=8, mode="vmap")
    stepper = ls.optim.wrap(method, model, sgd(model), cross_entropy)
    with pytest.raises(ValueError, match="draws in its passes"):
        stepper.step(BATCH)


def test_each_micro_batch_moves_its_own_criterion() -> None:
    first, second = (nn.Linear(3, 3).double() for _ in range(2))
    halves = [ls.Batch(X[:8], Y[:8]), ls.Batch(X[8:], Y[8:])]

    def loss(model: nn.Module, batch: ls.Batch) -> Tensor:
        criterion = first if batch.x[0, 0] == X[0, 0] else second
        return F.cross_entropy(criterion(model(batch.x)), batch.y)

    model = nn.Linear(5, 3).double()
    expected = torch.autograd.grad(0.5 * loss(model, halves[1]), second.weight)[0]
    ls.optim.wrap(ls.methods.SGD(), model, sgd(model), loss).step(halves)
    torch.testing.assert_close(second.weight.grad, expected)


class Counted:
    """A loss that is an object, no module, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, model: nn.Module, batch: ls.Batch) -> Tensor:
        self.calls += 1
        return cross_entropy(model, batch) / self.calls


def test_passes_start_from_the_same_state_of_a_loss_object() -> None:
    a, loss = nn.Linear(5, 3).double(), Counted()
    b = copy.deepcopy(a)
    plain, stepper = sgd(b), ls.optim.wrap(ls.methods.SAM(rho=0.05), a, sgd(a), loss)
    for step in range(1, 4):
        stepper.step(BATCH)
        sam_step(b, plain, lambda step=step: cross_entropy(b, BATCH) / step)
    assert_same(a, b)


class Student(nn.Module):
    """A head beside a frozen backbone, with a teacher that follows it in forward."""

    def __init__(self, trainable_rows: int = 3):
        super().__init__()
        self.backbone = nn.Linear(5, 40).requires_grad_(False)
        self.head = nn.Linear(40, trainable_rows)
        self.teacher = copy.deepcopy(self.head).requires_grad_(False)
        self.copies = nn.ModuleList()

    def forward(self, x):
        with torch.no_grad():
            for p, q in zip(self.teacher.parameters(), self.head.parameters(), strict=True):
                p.lerp_(q, 0.3)
        features = torch.tanh(self.backbone(x))
        return self.head(features) + self.teacher(features)


def test_a_teacher_beside_a_large_frozen_backbone_moves_once_a_step() -> None:
    model = Student().double()
    model.backbone = nn.Sequential(
        model.backbone, nn.Linear(40, 40, dtype=torch.float64).requires_grad_(False)
    )
    before = {name: p.clone() for name, p in model.named_parameters()}
    ls.optim.wrap("sam", model, sgd(model), cross_entropy).step(BATCH)
    expected = before["teacher.weight"].lerp(before["head.weight"], 0.3)
    assert torch.equal(expected, before["teacher.weight"])  # it begins as a copy
    torch.testing.assert_close(model.teacher.weight, expected, rtol=0, atol=1e-12)


def test_a_frozen_constant_that_moves_is_refused() -> None:
    model = Student().double()
    model.copies.extend(copy.deepcopy(model.teacher) for _ in range(9))
    stepper = ls.optim.wrap("sam", model, sgd(model), cross_entropy)
    with pytest.raises(ValueError, match=r"moves its frozen `teacher\.weight`"):
        stepper.step(BATCH)


def test_what_cannot_be_stepped_is_one_line() -> None:
    model = nn.Linear(5, 3).double()
    stepper = ls.optim.wrap("sam", model, sgd(model), cross_entropy)
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
        stepper.step(BATCH)
    with pytest.raises(ValueError, match="weight above 0"):
        stepper.step(ls.Batch(X[:0], Y[:0]))
    with pytest.raises(ValueError, match="cannot be copied"):
        copy.deepcopy(stepper)
    for weight in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="`weight` must be"):
            ls.Batch(X, Y, weight=weight)
    meta = nn.Linear(5, 3, device="meta")
    with pytest.raises(ValueError, match="meta device"):
        ls.optim.wrap("sam", meta, sgd(meta), cross_entropy)


def test_a_closure_may_leave_sparse_gradients() -> None:
    a = Table(sparse=True).double()
    b = copy.deepcopy(a)
    ours, plain = sgd(a), sgd(b)
    stepper = ls.optim.wrap(ls.methods.SAM(rho=0.05), a, ours, cross_entropy)

    def closure() -> Tensor:
        ours.zero_grad()
        loss = cross_entropy(a, IDS)
        loss.backward()
        return loss

    for _ in range(3):
        stepper.step(closure)
        sam_step(b, plain, lambda: cross_entropy(b, IDS))
    assert_same(a, b)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0].detach() ** 2


class Cubes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(Cube.apply(self.a(x)))


@pytest.mark.parametrize(("hessian", "warned"), [("exact", 1), ("difference", 0)])
def test_a_custom_function_that_a_product_differentiates_is_warned_of_once(
    hessian, warned, recwarn
) -> None:
    model = Cubes().double()
    method = ls.methods.LETS(hessian=hessian)
    stepper = ls.optim.wrap(method, model, sgd(model), cross_entropy, held_out=[BATCH])
    for _ in range(2):
        stepper.step(BATCH)
    assert [str(w.message)[:37] for w in recwarn] == [
        "The method differentiates an autograd"
    ] * warned
