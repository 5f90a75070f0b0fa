"""Critical sharpness against quadratics and a quartic whose crossings are known."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import CriticalSharpness, Eigenvalues, update_direction

F64 = torch.float64
H = torch.tensor([1.0, 4, 9], dtype=F64)


class Vector(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=F64))


def quadratic(w=(1.0, 1.0, 1.0), scale=1.0):
    loss = lambda model, batch: scale * (H * model.w**2).sum() / 2 + 0 * batch.x.sum()  # noqa: E731
    return Objective(Vector(w), [(torch.zeros(1, 1), None)], loss)


def test_values_along_the_gradient_of_a_quadratic():
    record = CriticalSharpness(start=0.1)(quadratic())
    assert record.directional == pytest.approx(794 / 98)
    assert (2 / record.high, 2 / record.low) == pytest.approx((0.2375, 0.25))
    assert record.looks == 7
    assert record.value == pytest.approx(8.205128, abs=1e-6)
    assert (record.low, record.high) == pytest.approx((8, 8.421053), abs=1e-6)
    assert record.direction == "gradient"


@pytest.mark.parametrize("tolerance", [1 / 16, 1e-3])
def test_the_default_start_brackets_the_true_crossing(tolerance):
    record = CriticalSharpness(tolerance=tolerance)(quadratic())
    assert record.low <= 794 / 98 <= record.high
    assert 1 - record.low / record.high <= tolerance
    assert record.value <= 9 * (1 + tolerance)
    assert record.looks <= 7 + math.log2(1 / tolerance)


def test_a_given_direction():
    record = CriticalSharpness(direction=torch.ones(3, dtype=F64))(quadratic((1.0, 1.0, 1.0)))
    assert record.directional == pytest.approx(1.0)
    assert record.low <= 1.0 <= record.high
    assert record.direction == "given"


def quartic():
    """L(w − ηΔ) − L(w) = η(η − 1)(η − 2)(η − 3) with Δ = 1 and w = 0."""

    def loss(model, batch):
        eta = -model.w[0]
        return 10 + eta * (eta - 1) * (eta - 2) * (eta - 3) + 0 * batch.x.sum()

    return Objective(Vector((0.0,)), [(torch.zeros(1, 1), None)], loss)


def test_a_low_start_finds_the_first_crossing_and_a_high_one_another():
    delta = torch.ones(1, dtype=F64)
    low = CriticalSharpness(direction=delta, start=0.1)(quartic())
    assert 2 / low.high <= 1.0 <= 2 / low.low
    assert (2 / low.high, 2 / low.low) == pytest.approx((1.0, 1.05), abs=1e-6)
    high = CriticalSharpness(direction=delta, start=2.5)(quartic())
    assert (2 / high.high, 2 / high.low) == pytest.approx((2.96875, 3.125))


def test_scaling_the_update_and_the_loss():
    g = quadratic().grad()
    one = CriticalSharpness(direction=g, start=0.1)(quadratic())
    other = CriticalSharpness(direction=4 * g, start=0.1 / 4)(quadratic())
    assert other.value == pytest.approx(4 * one.value)
    louder = CriticalSharpness(start=0.1 / 4)(quadratic(scale=4.0))
    assert louder.value == pytest.approx(4 * one.value)


@pytest.mark.parametrize("name", ["mlp", "relu", "conv"])
def test_at_most_the_largest_eigenvalue_where_the_loss_is_nearly_quadratic(objective, name):
    """The directional sharpness along g is a weighted mean of eigenvalues."""
    subject = objective(name)
    record = CriticalSharpness()(subject)
    top = Eigenvalues(k=1, which="largest")(subject).values[0]
    assert record.directional <= top * (1 + 1e-6)
    assert record.low < record.value < record.high


@pytest.mark.slow
def test_standard_error_is_that_of_resampled_examples():
    """Groups of one example each: the spread of λ_c over fresh samples of the examples."""
    generator = torch.Generator().manual_seed(0)
    delta = torch.ones(1, dtype=F64)

    def drawn(n=64):
        curvature = 1 + torch.rand(n, 1, generator=generator, dtype=F64)
        slope = 1 + 0.3 * torch.randn(n, 1, generator=generator, dtype=F64)
        loss = lambda m, b: (b.x * m.w**2 / 2 + b.y * m.w).mean()  # noqa: E731
        model = Vector((0.0,))
        return CriticalSharpness(direction=delta, tolerance=1e-3)(
            Objective(model, [(curvature, slope)], loss)
        )

    records = [drawn() for _ in range(60)]
    spread = torch.tensor([r.value for r in records]).std()
    stated = torch.tensor([r.stderr for r in records]).mean()
    assert float(stated / spread) == pytest.approx(1.0, abs=0.3)


def test_a_loss_that_is_not_finite_has_risen():
    def cliff(model, batch):
        step = 1 - model.w[0]
        return torch.where(step < 0.5, -step, torch.nan).sum() + 0 * batch.x.sum()

    subject = Objective(Vector((1.0,)), [(torch.zeros(1, 1), None)], cliff)
    record = CriticalSharpness(direction=torch.ones(1, dtype=F64), start=0.01)(subject)
    assert 2 / record.high <= 0.5 <= 2 / record.low
    assert math.isnan(record.stderr)


@pytest.mark.parametrize(
    ("subject", "direction", "message"),
    [
        (lambda: quadratic((0.0, 0.0, 0.0)), None, "does not descend: Δᵀg = 0"),
        (quadratic, -torch.ones(3), "does not descend: Δᵀg = -14"),
        (quadratic, torch.ones(2), r"must have shape \(3,\)"),
    ],
)
def test_refusals(subject, direction, message):
    with pytest.raises(ValueError, match=message):
        CriticalSharpness(direction=direction)(subject())


def test_a_loss_that_only_falls_has_no_critical_step():
    subject = Objective(
        Vector((0.0,)), [(torch.zeros(1, 1), None)], lambda m, b: m.w.sum() + 0 * b.x.sum()
    )
    with pytest.raises(ValueError, match="there is no critical step"):
        CriticalSharpness(start=1.0)(subject)


def test_rounding_near_a_minimum_is_refused():
    def loss(model, batch):
        return 1000 + (H.float() * model.w**2).sum() / 2 + 0 * batch.x.sum()

    model = Vector((1e-4, 1e-4, 1e-4)).float()
    subject = Objective(model, [(torch.zeros(1, 1), None)], loss)
    with pytest.raises(ValueError, match="by rounding alone"):
        CriticalSharpness()(subject)


@pytest.mark.parametrize("settings", [{"start": 0.0}, {"tolerance": 1.0}])
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        CriticalSharpness(**settings)


class TestUpdateDirection:
    def stepped(self, make):
        model = Vector((1.0, -2.0, 0.5))
        optimizer = make(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            ((H * model.w**2).sum() / 2).backward()
            optimizer.step()
        optimizer.zero_grad()
        ((H * model.w**2).sum() / 2).backward()
        subject = Objective(model, [(torch.zeros(1, 1), None)], lambda m, b: m.w.sum() + b.x.sum())
        return model, optimizer, subject

    def test_sgd_is_the_momentum_buffer_with_the_gradient(self):
        model, optimizer, subject = self.stepped(
            lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=0.1)
        )
        buffer = optimizer.state[model.w]["momentum_buffer"].clone()
        torch.testing.assert_close(
            update_direction(optimizer, subject), 0.9 * buffer + model.w.grad
        )
        torch.testing.assert_close(optimizer.state[model.w]["momentum_buffer"], buffer)

    def test_adamw_is_the_normalised_mean(self):
        model, optimizer, subject = self.stepped(
            lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)
        )
        state, g = optimizer.state[model.w], model.w.grad
        m = (0.9 * state["exp_avg"] + 0.1 * g) / (1 - 0.9**4)
        v = (0.999 * state["exp_avg_sq"] + 0.001 * g**2) / (1 - 0.999**4)
        torch.testing.assert_close(update_direction(optimizer, subject), m / (v.sqrt() + 1e-8))
        assert state["step"] == 3

    def test_nothing_moves(self):
        model, optimizer, subject = self.stepped(lambda p: torch.optim.SGD(p, 0.01, 0.9))
        before, g = model.w.detach().clone(), model.w.grad.clone()
        update_direction(optimizer, subject)
        assert torch.equal(model.w, before)
        assert torch.equal(model.w.grad, g)
        assert optimizer.param_groups[0]["lr"] == 0.01

    def test_needs_gradients(self):
        with pytest.raises(ValueError, match="No parameter has a gradient"):
            update_direction(torch.optim.SGD(Vector((1.0,)).parameters(), 0.1), quadratic())

    def layered(self, dtype=F64):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).to(dtype)
            x, y = torch.randn(6, 2, dtype=dtype), torch.randint(2, (6,))
        subject = Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))
        F.cross_entropy(model(x), y).backward()
        return model, subject

    def test_the_order_is_that_of_w_whatever_the_groups(self):
        """Biases in a group of their own, as for weight decay, and a step size each."""
        model, subject = self.layered()
        biases, weights = [m.bias for m in model[::2]], [m.weight for m in model[::2]]
        optimizer = torch.optim.SGD([{"params": biases, "lr": 0.1}, {"params": weights}], 0.2)
        torch.testing.assert_close(update_direction(optimizer, subject), subject.grad())

    def test_parameters_that_are_not_held_do_not_move(self):
        model, subject = self.layered()
        delta = update_direction(torch.optim.SGD(model[2].parameters(), 0.1), subject)
        assert torch.equal(delta[:9], torch.zeros(9, dtype=F64))
        torch.testing.assert_close(delta[9:], subject.grad()[9:])

    def test_frozen_parameters_have_no_place(self):
        model, _ = self.layered()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        model[0].weight.requires_grad_(False)
        x, y = torch.ones(2, 2, dtype=F64), torch.tensor([0, 1])
        subject = Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))
        expected = torch.cat([p.grad.flatten() for p in list(model.parameters())[1:]])
        torch.testing.assert_close(update_direction(optimizer, subject), expected)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_small_steps_are_not_rounded_at_the_weights(self, dtype):
        model, subject = self.layered(dtype)
        for p in model.parameters():
            p.grad = torch.full_like(p, 1e-7)
        delta = update_direction(torch.optim.SGD(model.parameters(), 0.1), subject)
        torch.testing.assert_close(delta, torch.full_like(delta, 1e-7), rtol=1e-2, atol=0)

    def test_a_step_by_the_size_of_the_weights(self):
        class Relative(torch.optim.SGD):
            def step(self):
                for p in self.param_groups[0]["params"]:
                    p.data -= self.param_groups[0]["lr"] * p.grad * p.norm()

        model, subject = self.layered()
        expected = torch.cat([(p.grad * p.detach().norm()).flatten() for p in model.parameters()])
        delta = update_direction(Relative(model.parameters(), 0.1), subject)
        torch.testing.assert_close(delta, expected)

    def test_what_has_no_direction(self):
        model, subject = self.layered()
        with pytest.raises(ValueError, match="asks for a closure"):
            update_direction(torch.optim.LBFGS(model.parameters()), subject)
        other, _ = self.layered()
        with pytest.raises(ValueError, match="no parameter of the objective's w"):
            update_direction(torch.optim.SGD(other.parameters(), 0.1), subject)
