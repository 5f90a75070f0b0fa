"""Every pair of methods: what it costs in passes a step, or why it is refused."""

import io

import pytest
import torch

from landscape.methods import LETS, METHODS, Lookbehind, make
from landscape.methods.requirements import cycle

NOTHING = "it perturbs nothing"
CHAIN, CLIMBS = "it is a chain of climbs and descents", "it is a chain of climbs."
LEARNED = "a learned radius goes around everything else"
BACK = "it pulls steps back and perturbs nothing of its own"
PENALTY = "it penalises and perturbs nothing"
MEMORY = "its average takes in one gradient a step"
MIXES, RARELY = "its descent mixes two gradients", "most of its steps do not climb"
NO_ASCENT = {"gsam": MIXES, "looksam": RARELY, "wsam": MIXES}


def _mixing(passes, by_another_loss):
    """The row of a method that mixes the gradients at w and at the perturbed point."""
    climbs = dict.fromkeys(("sam", "asam", "msam", "friendly-sam", "sam-on"), passes)
    return {
        **{"sgd": NOTHING, "adamw": NOTHING, **climbs, "aace": by_another_loss},
        **{"lookbehind": CHAIN, "multistep-sam": CLIMBS, "lookahead": BACK},
        **{"lets": LEARNED, "fam": PENALTY, **NO_ASCENT},
    }


PAIRS = {  # outside: {inside: passes a step, or the reason}
    "lookbehind": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 4, "asam": 4, "aace": 4, "msam": 4},
        **{"lookbehind": CHAIN, "multistep-sam": CLIMBS, "lookahead": BACK},
        **{"lets": LEARNED, "fam": PENALTY, "friendly-sam": MEMORY, "sam-on": 4, **NO_ASCENT},
    },
    "multistep-sam": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 3, "asam": 3, "aace": 3, "msam": 3},
        **{"lookbehind": CHAIN, "multistep-sam": CLIMBS, "lookahead": BACK},
        **{"lets": LEARNED, "fam": PENALTY, "friendly-sam": MEMORY, "sam-on": 3, **NO_ASCENT},
    },
    "msam": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 2, "asam": 2, "aace": 2},
        **{"msam": "Multiply the two `num_shards`", "lookbehind": CHAIN},
        **{"multistep-sam": CLIMBS, "lookahead": BACK, "lets": LEARNED, "fam": PENALTY},
        **{"friendly-sam": MEMORY, "sam-on": 2, **NO_ASCENT},
    },
    "lets": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 3, "asam": 3, "aace": 5, "msam": 3},
        **{"lookbehind": 5, "multistep-sam": 4, "lookahead": BACK},
        **{"lets": LEARNED, "fam": PENALTY, "friendly-sam": 3, "gsam": 3, "wsam": 3, "sam-on": 3},
        **{"looksam": "one step in k alone depends on the radius"},
    },
    "lookahead": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 2, "asam": 2, "aace": 2, "msam": 2},
        **{"lookbehind": 4, "multistep-sam": 3, "lookahead": "Choose another k and alpha"},
        **{"lets": LEARNED, "fam": PENALTY, "friendly-sam": 2, "gsam": 2, "looksam": 1.2},
        **{"wsam": 2, "sam-on": 2},
    },
    "fam": {
        **{"sgd": 1, "adamw": 1, "sam": 2, "asam": 2, "aace": 2, "msam": 2, "lookbehind": 4},
        **{"multistep-sam": 3, "lookahead": 1, "lets": 3, "fam": "Got FAM"},
        **{"friendly-sam": 2, "gsam": 2, "looksam": 1.2, "wsam": 2, "sam-on": 2},
    },
    **{outside: _mixing(2, 3) for outside in ("gsam", "wsam")},
    "looksam": _mixing(1.2, 1.4),
    "sam-on": {
        **{"sgd": NOTHING, "adamw": NOTHING, "sam": 2, "asam": 2, "aace": 2},
        **{"msam": "its shards would be ignored", "lookbehind": CHAIN, "multistep-sam": CLIMBS},
        **{"lookahead": BACK, "lets": LEARNED, "fam": PENALTY, "friendly-sam": MEMORY},
        **{"sam-on": "one mask has one climb", **NO_ASCENT},
    },
}
DEEPER = {
    "lookbehind+msam+asam": 4,
    "lookbehind+msam+aace": 4,
    "multistep-sam+msam+asam": 3,
    "lookahead+msam+asam": 2,
    "lookahead+lookbehind+asam": 4,
    "lets+msam+asam": 3,
    "lets+lookbehind+asam": 5,
    "lets+lookbehind+msam+asam": 5,
    "lets+lookbehind+aace": 8,
    "lets+multistep-sam+aace": 6,
    "lets+lookahead+sam": 3,
    "fam+lets+asam": 3,
    "fam+lets+lookbehind+msam+asam": 5,
    "gsam+msam+sam-on+asam": 2,
    "lookbehind+msam+sam-on+aace": 4,
    "looksam+msam+aace": 1.4,
    "wsam+msam+sam-on": 2,
    "lets+lookahead+friendly-sam": 3,
    "lets+gsam+friendly-sam": 3,
    "lets+wsam+msam+sam-on+asam": 3,
    "lets+lookbehind+sam-on": 5,
    "fam+lets+gsam+asam": 3,
    "lookahead+looksam+friendly-sam": 1.2,
}
FLAT = {f"{outside}+{inside}": v for outside, row in PAIRS.items() for inside, v in row.items()}
WORKING = {name: v for name, v in FLAT.items() if not isinstance(v, str)} | DEEPER
REFUSED = {name: v for name, v in FLAT.items() if isinstance(v, str)}


def test_the_table_has_every_pair():
    for outside in METHODS:
        assert set(PAIRS.get(outside, METHODS)) == set(METHODS), outside
        if outside not in PAIRS:
            with pytest.raises(ValueError, match=f"{outside} takes no other method inside"):
                make(f"{outside}+sam")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(ValueError, match="`over` must") as caught:
        make(name)
    assert REFUSED[name] in str(caught.value)


def test_a_method_of_ones_own_hears_what_it_lacks():
    class Own:
        rho = 0.1

    with pytest.raises(ValueError, match=r"Got Own: it does not inherit from `ascent.Ascent`."):
        Lookbehind(over=Own())
    with pytest.raises(ValueError, match=r"Got Own: it does not inherit from `ascent.Perturbs`."):
        LETS(over=Own())


def test_a_radius_is_not_learned_through_a_method_between():
    with pytest.raises(ValueError, match=r"Got LookSAM: one step in k alone depends on the radius"):
        make("lets+lookahead+looksam")


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", WORKING)
def test_it_trains(name, stepper, batches):
    """The loss falls on a batch that comes again; passes are as the table says."""
    (batch,) = batches(1)
    ours = stepper(name, held_out=batches(3))
    first = ours.step(batch)
    for _ in range(7):
        last = ours.step(batch)
    assert last < first
    ours.walker.grad_evals, steps = 0.0, cycle(ours.method)
    for _ in range(steps):
        ours.step(batch)
    assert ours.walker.grad_evals / steps == pytest.approx(WORKING[name])


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", WORKING)
def test_it_keeps_the_rules(name, stepper, batches):
    """With batch norm and dropout: the walker watches each look (R1, R2), the running statistics
    move once (R2), three and three steps are six through a file (R4, R5), nothing is left behind.
    """
    net = {"batch_norm": True, "dropout": 0.3}
    steps, rng = batches(6), torch.get_rng_state()
    ours = stepper(name, net=net)
    for batch in steps[:3]:
        ours.step(batch)
    file = io.BytesIO()
    torch.save((ours.walker.model.state_dict(), ours.state_dict()), file)
    resumed = stepper(name, net=net)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed.walker.model.load_state_dict(weights)
    resumed.load_state_dict(state)
    for batch in steps[3:]:
        assert torch.equal(ours.step(batch), resumed.step(batch))
    assert torch.equal(ours.walker.w, resumed.walker.w)
    assert ours.walker.model[1].num_batches_tracked == 6 * (4 if "msam" in name.split("+") else 1)
    assert torch.equal(rng, torch.get_rng_state())
    assert all(p.grad is None for p in ours.walker.model.parameters())
    assert all(torch.equal(t, copied) for t, copied in ours.walker.returned)
