"""Every pass of a step starts from the state that the step's own pass started from."""

import copy
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.methods import MultistepSAM
from landscape.network.batch import Batch


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


class Recurrent(nn.Module):
    """A hidden state in a plain attribute."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.RNNCell(6, 4), nn.Linear(4, 3)
        self.h = torch.zeros(12, 4, dtype=torch.float64)

    def forward(self, x):
        h = self.cell(x, self.h)
        self.h = h.detach()
        return self.out(h)


class Queue(nn.Module):
    """A queue in a buffer, written in place, and a deque and a counter beside it."""

    def __init__(self):
        super().__init__()
        self.features, self.out = nn.Linear(6, 4), nn.Linear(4, 3)
        self.register_buffer("queue", torch.ones(4, 4))
        self.recent, self.count = deque(maxlen=2), 0

    def forward(self, x):
        z = torch.tanh(self.features(x))
        answer = self.out(z + self.queue.mean(0) + sum(self.recent) + 0.1 * self.count)
        self.queue[self.count % 4] = z.detach().mean(0)
        self.recent.append(z.detach().std(0))
        self.count += 1
        return answer


class Teacher(nn.Module):
    """Frozen weights that follow the others, reassigned or in place."""

    def __init__(self, in_place):
        super().__init__()
        self.student, self.teacher = nn.Linear(6, 3), nn.Linear(6, 3)
        self.teacher.requires_grad_(False)
        self.in_place = in_place

    @torch.no_grad()
    def follow(self):
        for p, q in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            if self.in_place:
                p.data.mul_(0.5).add_(0.5 * q)
            else:
                p.data = 0.5 * p.data + 0.5 * q.data

    def forward(self, x):
        self.follow()
        return self.student(x) + self.teacher(x)


def models():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return [m.double() for m in (Recurrent(), Queue(), Teacher(True), Teacher(False))]


def plain_sam(model, optimizer, loss, rho=0.05):
    """SAM whose second pass runs in a copy of the model as it was before the first."""
    twin = copy.deepcopy(model)
    optimizer.zero_grad()
    loss(model).backward()
    norm = torch.sqrt(sum(p.grad.square().sum() for p in trainable(model)))
    with torch.no_grad():
        for p, q in zip(trainable(twin), trainable(model), strict=True):
            p += rho * q.grad / norm
    loss(twin).backward()
    for p, q in zip(trainable(model), trainable(twin), strict=True):
        p.grad = q.grad
    optimizer.step()


def trainable(model):
    return [p for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("closure", [False, True])
def test_a_plain_loop_that_starts_each_pass_alike(case, closure, batches):
    """The state afterwards is that of the first pass."""
    ours, plain = models()[case], models()[case]
    sgd = [torch.optim.SGD(trainable(m), lr=0.2, momentum=0.9) for m in (ours, plain)]
    stepper = optim.wrap("sam", ours, sgd[0], cross_entropy)
    for batch in batches(4):

        def call(batch=batch):
            sgd[0].zero_grad()
            loss = cross_entropy(ours, batch)
            loss.backward()
            return loss

        stepper.step(call if closure else batch)
        plain_sam(plain, sgd[1], lambda m, b=batch: cross_entropy(m, b))
    for p, q in zip(ours.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    if case == 0:
        torch.testing.assert_close(ours.h, plain.h, rtol=1e-12, atol=1e-14)
    if case == 1:
        assert ours.count == plain.count == 4
        torch.testing.assert_close(list(ours.recent), list(plain.recent), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["sgd", "asam", "lookbehind", "aace", MultistepSAM(k=3)])
def test_a_counter_counts_steps(method, batches):
    model = models()[1]
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap(method, model, sgd, cross_entropy)
    for batch in batches(3):
        stepper.step(batch)
    assert model.count == 3


def test_parts_of_a_batch_follow_each_other_in_every_pass(batches):
    """Accumulation: each pass over the union goes from the first part's state to the last's."""
    seen = []

    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.count = nn.Linear(6, 3).double(), 0

        def forward(self, x):
            self.count += 1
            seen.append(self.count)
            return self.out(x)

    model = Counts()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap("sam", model, sgd, cross_entropy)
    stepper.step(batches(3))
    assert seen == [1, 2, 3] * 2
    assert model.count == 3


class Outside(nn.Module):
    """A second network of the loss, with batch norm."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.double()

    def forward(self, z):
        return self.body(z).square().mean()


@pytest.mark.parametrize("method", ["sgd", "sam", "lookbehind"])
def test_batch_norm_of_a_network_in_the_loss_moves_once_a_step(method, small_net, batches):
    net, outside, plain = small_net(), Outside(), Outside()
    plain.load_state_dict(outside.state_dict())
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    stepper = optim.wrap(method, net, sgd, lambda m, b: cross_entropy(m, b) + outside(m(b.x)))
    for batch in batches(3):
        plain(net(batch.x))
        stepper.step(batch)
    assert outside.body[1].num_batches_tracked == 3
    for b, expected in zip(outside.buffers(), plain.buffers(), strict=True):
        assert torch.equal(b, expected)


def test_a_network_first_met_in_a_look_is_left_as_it_was(small_net, batch):
    """AACE's own pass is of another loss."""
    net, outside = small_net(), Outside()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)

    def loss(m, b):
        return cross_entropy(m, b) + outside(m(b.x))

    optim.wrap("aace", net, sgd, loss, logits=lambda m, b: m(b.x)).step(batch)
    assert outside.body[1].num_batches_tracked == 0


def test_modules_made_inside_the_loss_are_not_kept(small_net, batches):
    net = small_net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    stepper = optim.wrap("sam", net, sgd, lambda m, b: nn.CrossEntropyLoss()(m(b.x), b.y))
    for batch in batches(3):
        stepper.step(batch)
    stepper.walker.begin(None)
    assert not list(stepper.walker._passes.state._outside)


def test_a_state_that_appears_in_the_first_pass(batches):
    """A buffer and an attribute made lazily."""

    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, 3).double()
            self.register_buffer("mean", None)

        def forward(self, x):
            if self.mean is None:
                self.mean, self.first = x.mean(0), x.detach().clone()
            return self.out(x - self.mean)

    model = Lazy()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap("sam", model, sgd, cross_entropy)
    first, second = batches(2)
    stepper.step(first)
    stepper.step(second)
    torch.testing.assert_close(model.mean, first.x.mean(0))


def test_a_look_that_raises_leaves_the_state(batch):
    model, calls = models()[1], []

    def loss(m, b):
        calls.append(1)
        value = cross_entropy(m, b)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return value

    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap("sam", model, sgd, loss)
    with pytest.raises(RuntimeError, match="out of memory"):
        stepper.step(Batch(batch.x, batch.y))
    assert model.count == 1
