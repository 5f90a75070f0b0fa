"""Objective against closed forms, dense Hessians and its promise to leave no trace."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from landscape.network.batch_norm import POLICIES
from landscape.objective.objective import Batch, Objective

FLOAT64 = torch.float64


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def conv_net(momentum=0.1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3, momentum=momentum),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(12, 3),
    ).double()


def images(n=11, seed=1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 4, 4, generator=g, dtype=FLOAT64)
    return x, torch.randint(0, 3, (n,), generator=g)


@pytest.fixture
def warm_net():
    """Running statistics that differ from those of any batch."""
    model = conv_net()
    model(images(20, seed=9)[0])
    return model


@pytest.fixture
def two_batches():
    x, y = images()
    return [(x[:4], y[:4]), (x[4:], y[4:])]


def dense_hessian(f, w, h=1e-5):
    """Central differences of the gradient, column by column."""
    columns = [(f(w + h * e) - f(w - h * e)) / (2 * h) for e in torch.eye(len(w), dtype=w.dtype)]
    return torch.stack(columns, 1)


def test_value_gradient_and_product_of_a_quadratic():
    """L = wᵀAw/2 with A = diag(1, 4, 9): ∇L = Aw, ∇²L v = Av."""
    model = nn.Linear(3, 1, bias=False).double()
    a = torch.tensor([1.0, 4.0, 9.0], dtype=FLOAT64)
    objective = Objective(
        model, [Batch(torch.zeros(1), None)], lambda m, _: 0.5 * (a * m.weight[0] ** 2).sum()
    )
    at, v = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], dtype=FLOAT64)
    assert objective.value(at) == pytest.approx(49.0, rel=1e-12)
    torch.testing.assert_close(objective.grad(at), a * at)
    torch.testing.assert_close(objective.hvp(v, at), a * v)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("memory", [0, 2**30])
def test_derivatives_are_those_of_the_value_under_every_batch_norm_policy(
    warm_net, two_batches, policy, memory
):
    objective = Objective(warm_net, two_batches, cross_entropy, batch_norm=policy, memory=memory)
    w, h = objective.w, 1e-6
    basis = torch.eye(len(w), dtype=FLOAT64)[::7]
    numeric = [(objective.value(w + h * e) - objective.value(w - h * e)) / (2 * h) for e in basis]
    torch.testing.assert_close(
        basis @ objective.grad(), torch.tensor(numeric, dtype=FLOAT64), rtol=1e-6, atol=1e-8
    )
    dense = dense_hessian(objective.grad, w)
    product = objective.hvp(torch.eye(len(w), dtype=FLOAT64))
    torch.testing.assert_close(product, dense, rtol=1e-5, atol=1e-7)


def test_stored_batch_and_reestimated_statistics_are_what_their_names_say(warm_net, two_batches):
    """Against plain torch: eval mode; train mode; statistics by hand, then eval mode."""
    values = {
        p: Objective(warm_net, two_batches, cross_entropy, batch_norm=p).value() for p in POLICIES
    }
    x, y = (torch.cat(parts) for parts in zip(*two_batches, strict=True))

    def mean(model):
        return sum(cross_entropy(model, Batch(a, b)).item() * len(a) for a, b in two_batches) / len(
            x
        )

    assert values["stored"] == pytest.approx(mean(warm_net.eval()), rel=1e-12)
    assert values["batch"] == pytest.approx(mean(conv_net().train()), rel=1e-12)
    bn, conv = conv_net()[1], conv_net()[0]
    inputs = [conv(a) for a, _ in two_batches]
    bn.running_mean = sum(z.mean((0, 2, 3)) * len(z) for z in inputs).detach() / len(x)
    bn.running_var = sum(z.var((0, 2, 3)) * len(z) for z in inputs).detach() / len(x)
    model = conv_net().eval()
    model[1] = bn.eval()
    assert values["reestimated"] == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    assert len(set(values.values())) == 3


def test_batches_count_by_examples_and_by_given_weight(warm_net, two_batches):
    (x1, y1), (x2, y2) = two_batches
    whole = Objective(warm_net, [(torch.cat([x1, x2]), torch.cat([y1, y2]))], cross_entropy)
    parts = Objective(warm_net, two_batches, cross_entropy)
    assert parts.value() == pytest.approx(whole.value(), rel=1e-14)
    torch.testing.assert_close(parts.grad(), whole.grad())
    weighted = Objective(
        warm_net, [Batch(x1, y1, weight=3.0), Batch(x2, y2, weight=1.0)], cross_entropy
    )
    one, two = (Objective(warm_net, [b], cross_entropy).value() for b in two_batches)
    assert weighted.value() == pytest.approx((3 * one + two) / 4, rel=1e-14)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_look_leaves_weights_buffers_modes_and_random_state_bit_for_bit(two_batches, policy):
    model = conv_net(momentum=None)
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    objects = [*model.parameters(), *model.buffers()]
    objective = Objective(model, two_batches, cross_entropy, batch_norm=policy)
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    at = objective.w + 1
    objective.value(at), objective.grad(at), objective.hvp(at, at), objective.accuracy(at)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(
        a is b for a, b in zip(objects, [*model.parameters(), *model.buffers()], strict=True)
    )
    assert modes == [m.training for m in model.modules()]
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert "forward" not in model[1].__dict__


def test_no_trace_also_when_the_loss_raises(warm_net, two_batches):
    failing = False

    def fails_later(model, batch):
        if failing:
            model[1].running_mean.zero_()
            raise RuntimeError("planned")
        return cross_entropy(model, batch)

    objective = Objective(warm_net, two_batches, fails_later)
    failing = True
    before = {k: v.clone() for k, v in warm_net.state_dict().items()}
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="planned"):
        objective.grad(objective.w + 1)
    assert all(torch.equal(v, before[k]) for k, v in warm_net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and warm_net.training


def test_training_the_model_further_does_not_move_an_objective(warm_net, two_batches):
    objective = Objective(warm_net, two_batches, cross_entropy)
    value, product = objective.value(), objective.hvp(objective.w)
    with torch.no_grad():
        for t in (*warm_net.parameters(), warm_net[1].running_mean):
            t.add_(0.3)
    assert objective.value() == value
    assert torch.equal(objective.hvp(objective.w), product)


def test_what_is_returned_belongs_to_the_caller(warm_net, two_batches):
    objective = Objective(warm_net, two_batches, cross_entropy)
    w, g, p = objective.w, objective.grad(), objective.hvp(objective.w)
    for t in (w, g, p):
        t.zero_()
    assert objective.w.norm() > 0 and objective.grad().norm() > 0
    assert objective.hvp(objective.w).norm() > 0


def test_accuracy_by_hand_and_nan_where_targets_are_no_classes(two_batches):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double()
    x, y = images()
    right = (model(x).argmax(1) == y).double().mean().item()
    assert Objective(model, two_batches, cross_entropy).accuracy() == pytest.approx(right)
    other = Objective(
        model, two_batches, cross_entropy, logits=lambda m, b: F.one_hot(b.y, 3).double()
    )
    assert other.value_and_accuracy() == (pytest.approx(other.value()), 1.0)
    regression = Objective(
        model, [(x, torch.zeros(11, 3).double())], lambda m, b: F.mse_loss(m(b.x), b.y)
    )
    assert math.isnan(regression.accuracy())


def test_fused_attention_has_its_exact_hessian():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    x = torch.randn(3, 5, 4, dtype=FLOAT64)
    objective = Objective(layer, [(x, x)], lambda m, b: m(b.x).pow(3).mean())
    v = torch.randn(objective.weights.n, dtype=FLOAT64)
    h = 1e-5
    numeric = (objective.grad(objective.w + h * v) - objective.grad(objective.w - h * v)) / (2 * h)
    torch.testing.assert_close(objective.hvp(v), numeric, rtol=1e-6, atol=1e-8)


def test_an_unused_parameter_has_zero_derivatives():
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "unused": nn.Linear(2, 1)}).double()
    x = torch.randn(4, 2, dtype=FLOAT64)
    objective = Objective(model, [(x, x)], lambda m, b: m["used"](b.x).pow(2).mean())
    unused = objective.layers["unused.weight"]
    assert not objective.grad()[unused].any()
    assert not objective.hvp(torch.ones(6, dtype=FLOAT64))[unused].any()
    assert objective.grad().any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batches": []}, "at least one batch. Got none"),
        ({"batch_norm": "frozen"}, "one of stored, batch, reestimated. Got 'frozen'."),
        ({"loss": lambda m, b: m(b.x)}, r"of shape \(\). Got shape"),
        ({"loss": lambda m, b: F.dropout(m(b.x), 0.5).sum()}, "answers differently twice"),
    ],
)
def test_bad_input_is_refused(two_batches, options, message):
    given = {"batches": two_batches, "loss": cross_entropy, **options}
    with pytest.raises(ValueError, match=message):
        Objective(conv_net(), given.pop("batches"), given.pop("loss"), **given)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # torch's, of values
@pytest.mark.parametrize("inside", [False, True])
def test_reentrant_checkpoints_have_no_gradients(inside, two_batches):
    """At the input torch would give zeros and warn, further inside it would fail."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = conv_net()

        def forward(self, x):
            x = self.net[0](x) if inside else x
            rest = self.net[1:] if inside else self.net
            return checkpoint(rest, x, use_reentrant=self.reentrant)

    model = Net()
    model.reentrant = True
    objective = Objective(model, two_batches, cross_entropy)
    for ask in (objective.grad, lambda: objective.hvp(objective.w), lambda: objective.summary):
        with pytest.raises(ValueError, match="Set use_reentrant=False"):
            ask()
    assert objective.value() > 0 and objective.evaluate([objective.w])[0][0] > 0
    model.reentrant = False
    again = Objective(model, two_batches, cross_entropy)
    plain = Objective(model.net, two_batches, cross_entropy)
    torch.testing.assert_close(again.grad(), plain.grad(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(again.hvp(again.w), plain.hvp(plain.w), rtol=1e-10, atol=1e-12)


def test_other_warnings_of_a_model_are_shown(two_batches):
    def loud(model, batch):
        warnings.warn("of the user's own", UserWarning, stacklevel=1)
        return cross_entropy(model, batch)

    with pytest.warns(UserWarning, match="of the user's own"):
        Objective(conv_net(), two_batches, loud)


def test_a_direction_of_the_wrong_shape_is_refused(warm_net, two_batches):
    objective = Objective(warm_net, two_batches, cross_entropy)
    with pytest.raises(ValueError, match=r"`v` must have shape"):
        objective.hvp(torch.zeros(3))


@pytest.mark.gpu
@pytest.mark.parametrize("policy", POLICIES)
def test_cuda_agrees_with_float64_on_the_cpu(warm_net, two_batches, policy):
    """Float32 ieee on CUDA: value to 1e-5, gradient and product to 1e-4 of their norm."""
    exact = Objective(warm_net, two_batches, cross_entropy, batch_norm=policy)
    v = torch.randn(exact.weights.n, dtype=FLOAT64)
    model = conv_net()
    model.load_state_dict(warm_net.state_dict())
    on_gpu = Objective(
        model.float().cuda(),
        [(x.float(), y) for x, y in two_batches],
        cross_entropy,
        batch_norm=policy,
    )
    assert on_gpu.value() == pytest.approx(exact.value(), rel=1e-5)
    for found, true in (
        (on_gpu.grad(), exact.grad()),
        (on_gpu.hvp(v.float().cuda()), exact.hvp(v)),
    ):
        assert (found.cpu().double() - true).norm() <= 1e-4 * true.norm()


def test_weight_norm_has_its_exact_hessian():
    """Torch's own second derivative of it is wrong, without an error."""
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 5))
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(5, 2)).double()
    x = torch.randn(7, 4, dtype=FLOAT64)
    objective = Objective(model, [(x, x)], lambda m, b: m(b.x).pow(2).mean())
    v = torch.randn(objective.weights.n, dtype=FLOAT64)
    h = 1e-5
    numeric = (objective.grad(objective.w + h * v) - objective.grad(objective.w - h * v)) / (2 * h)
    torch.testing.assert_close(objective.hvp(v), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (F.relu, F.mse_loss, r"`model` must be a torch.nn.Module. Got function"),
        (nn.Linear(2, 1), None, r"`loss` must be a function .* Got NoneType"),
        (nn.Linear(2, 1), nn.MSELoss(), r"Got MSELoss: lambda model, batch: criterion"),
    ],
)
def test_what_is_no_model_or_no_loss_is_refused(model, loss, message):
    with pytest.raises(ValueError, match=message):
        Objective(model, [(torch.ones(3, 2), torch.ones(3, 1))], loss)


def test_points_and_directions_are_tensors(warm_net, two_batches):
    objective = Objective(warm_net, two_batches, cross_entropy)
    with pytest.raises(ValueError, match=r"must be a tensor \(n,\). Got ndarray: torch.as_tensor"):
        objective.value(objective.w.numpy())
    with pytest.raises(ValueError, match=r"`v` must be a tensor. Got list"):
        objective.hvp([1.0])
