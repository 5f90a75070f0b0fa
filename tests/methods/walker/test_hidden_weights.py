"""Optimizers with weights of their own do not go under methods that pull weights back."""

import pytest
import torch
from torch import nn

from landscape import optim
from landscape.methods import FAM, METHODS, Lookahead, make
from landscape.methods.walker.hidden_weights import keeps_weights

SGD = torch.optim.SGD


class ScheduleFree(torch.optim.Optimizer):
    """Gradients at y = (1-β)z + βx, steps of z, averages x (Defazio et al. 2024), plain."""

    def __init__(self, params, lr=0.1, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                if not s:
                    s["z"], s["x"], s["t"] = p.clone(), p.clone(), 0
                s["t"] += 1
                s["z"] -= group["lr"] * p.grad
                s["x"] += (s["z"] - s["x"]) / s["t"]
                p.copy_(torch.lerp(s["z"], s["x"], group["beta"]))


class WithModes(SGD):
    def train(self):
        pass

    def eval(self):
        pass


class Slow(torch.optim.Optimizer):
    """Lookahead as an optimizer of its own: every k steps halfway back to slow weights."""

    def __init__(self, params, lr=0.1, k=5):
        super().__init__(params, {"lr": lr, "k": k})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                if not s:
                    s["slow"], s["t"] = p.clone(), 0
                p -= group["lr"] * p.grad
                s["t"] += 1
                if s["t"] % group["k"] == 0:
                    p.lerp_(s["slow"], 0.5)
                    s["slow"] = p.clone()


class Around(torch.optim.Optimizer):
    """Lookahead as a wrapper."""

    def __init__(self, optimizer, k=5, alpha=0.5):
        self.optimizer, self.k, self.alpha = optimizer, k, alpha
        self.param_groups, self.state, self.defaults = optimizer.param_groups, optimizer.state, {}

    def step(self, closure=None):
        self.optimizer.step()


def loss(model, batch):
    return model(batch.x).square().mean()


@pytest.mark.parametrize("build", [ScheduleFree, WithModes, Slow, lambda p: Around(SGD(p, lr=0.1))])
@pytest.mark.parametrize("method", ["lookbehind", "lookahead", "lookahead+sam"])
def test_they_are_refused_before_the_first_step(build, method, small_net, batch):
    net = small_net()
    with pytest.raises(ValueError, match=r"moves the weights between steps, and .* keeps weights"):
        optim.wrap(method, net, build(net.parameters()), loss, held_out=[batch])


@pytest.mark.parametrize("build", [ScheduleFree, Slow])
def test_without_a_pull_back_they_are_welcome(build, small_net, batch):
    net = small_net()
    optim.wrap("sam", net, build(net.parameters()), loss).step(batch)


KEEP_NOTHING = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad"]


@pytest.mark.parametrize("name", [*KEEP_NOTHING, "Adadelta", "Rprop", "Adafactor", "ASGD"])
def test_torchs_own_keep_no_weights(name):
    assert not keeps_weights(getattr(torch.optim, name)([nn.Parameter(torch.zeros(3, 3))]))


@pytest.mark.parametrize("name", METHODS)
def test_going_up_a_loss_has_a_meaning_for_plain_descent_alone(name, small_net, batch):
    """Uphill the worst case of a ball lies below: a climb along the gradient would be the best."""
    net = small_net()
    kind = torch.optim.AdamW if name == "adamw" else SGD
    base = kind(net.parameters(), lr=0.1, maximize=True)
    if name in ("sgd", "adamw", "lookahead"):
        optim.wrap(name, net, base, loss).step(batch)
        return
    with pytest.raises(ValueError, match=r"`maximize` must be False under .*the negative of the"):
        optim.wrap(name, net, base, loss, held_out=[batch])


def test_plain_descent_goes_up_as_torch_does(small_net, batch):
    nets = small_net(), small_net()
    bases = [SGD(n.parameters(), lr=0.1, momentum=0.9, maximize=True) for n in nets]
    stepper = optim.wrap("sgd", nets[0], bases[0], loss)
    for _ in range(3):
        stepper.step(batch)
        bases[1].zero_grad()
        loss(nets[1], batch).backward()
        bases[1].step()
    assert all(map(torch.equal, nets[0].parameters(), nets[1].parameters()))


@pytest.mark.parametrize("method", [Lookahead(over=make("sam")), FAM()])
def test_a_method_inside_counts(method, small_net):
    net = small_net()
    with pytest.raises(ValueError, match="`maximize` must be False"):
        optim.wrap(method, net, SGD(net.parameters(), lr=0.1, maximize=True), loss)
