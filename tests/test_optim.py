"""The methods in a user's own loop."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from landscape import optim
from landscape.methods import LETS, SAM, AdamW

SGD = torch.optim.SGD


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def wrapped(small_net):
    def make(method="sam", optimizer=SGD, **options):
        net = small_net()
        base = optimizer(net.parameters(), lr=0.1)
        return optim.wrap(method, net, base, cross_entropy, **options)

    return make


def test_a_plain_loop_learns(wrapped, batch):
    """Names, objects, pairs (x, y) and schedules."""
    by_name, by_object = wrapped("sam"), wrapped(SAM())
    schedule = torch.optim.lr_scheduler.StepLR(by_name.walker.optimizer, 10)
    losses = [by_name.step((batch.x, batch.y)).item() for _ in range(10)]
    schedule.step()
    for _ in range(10):
        by_object.step(batch)
    assert torch.equal(by_name.walker.w, by_object.walker.w)
    assert losses == sorted(losses, reverse=True)
    assert by_name.step(batch).shape == ()


def test_held_out_data_from_a_loader(wrapped, batches):
    """It is cycled; what lets learned can be read."""
    x, y = torch.cat([b.x for b in batches(2)]), torch.cat([b.y for b in batches(2)])
    held_out = DataLoader(TensorDataset(x, y), batch_size=10)
    stepper = wrapped("lets+asam", held_out=held_out, fresh=iter(batches(3)))
    for batch in batches(8):
        stepper.step(batch)
    assert set(stepper.logged) == {"rho", "gap", "hypergradient", "agreement"}
    assert stepper.logged["rho"] != 0.5


def test_fresh_batches(wrapped, batches):
    method, fresh = LETS(upper="fresh"), iter(batches(3, seed=4))
    stepper = wrapped(method, held_out=batches(1, seed=5), fresh=fresh)
    for batch in batches(3):
        stepper.step(batch)
    assert next(fresh, None) is None
    with pytest.raises(ValueError, match="needs fresh training batches"):
        stepper.step(batch)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_the_place_in_the_held_out_data_is_kept(steps, wrapped, batches):
    """Also at the very end of a round of two, and between two updates of the radius."""
    held_out, train = batches(2, seed=5), batches(10)
    ours, resumed = (wrapped(LETS(upper="same", every=2), held_out=held_out) for _ in range(2))
    for batch in train[:steps]:
        ours.step(batch)
    resumed.walker.move_to(ours.walker.w)
    resumed.load_state_dict(ours.state_dict())
    for batch in train[steps:]:
        assert ours.step(batch) == resumed.step(batch)
        assert ours.logged == resumed.logged


def test_the_state_is_a_snapshot(wrapped, batches):
    """Later steps do not reach into it."""
    stepper = wrapped("lets", held_out=batches(2))
    for batch in batches(3):
        stepper.step(batch)
    method = {k: torch.as_tensor(v).clone() for k, v in stepper.state_dict()["method"].items()}
    state = stepper.state_dict()["method"]
    for batch in batches(3):
        stepper.step(batch)
    assert all(torch.equal(torch.as_tensor(state[k]), method[k]) for k in method)


def test_misfits_are_refused(wrapped, small_net, batches):
    with pytest.raises(ValueError, match=r"Unknown method 'smam'. Did you mean 'sam'"):
        wrapped("smam")
    with pytest.raises(ValueError, match="`method` must be a method or one of sgd, adamw, sam"):
        wrapped(3)
    with pytest.raises(ValueError, match=r"AdamW needs torch.optim.AdamW .* Got SGD."):
        wrapped("adamw")
    with pytest.raises(ValueError, match=r"SGD needs torch.optim.SGD .* Got Adam."):
        wrapped("sgd", torch.optim.Adam)
    wrapped(AdamW(), torch.optim.AdamW)
    with pytest.raises(ValueError, match="must hold every trainable parameter"):
        optim.wrap("sam", small_net(), SGD(small_net().parameters(), lr=0.1), cross_entropy)
    lets = wrapped("lets", held_out=batches(1))
    with pytest.raises(ValueError, match=r"must come from the same method. SAM does not fit"):
        wrapped("sam").load_state_dict(lets.state_dict())
    with pytest.raises(ValueError, match=r"must come from the same method. LETS does not fit"):
        lets.load_state_dict(wrapped("sam").state_dict())
    with pytest.raises(ValueError, match=r"a landscape.Batch or a pair"):
        lets.step(3)
