"""Variants that take what was chosen for another method, and studies that begin at another seed."""

import pytest

from landscape.study.design import Design

GRID = {"training.lr": (0.1, 0.2), "sam.rho": (0.02, 0.05)}
LONGER = {"sam@longer": {"training": {"epochs": 80}}}


def design(tmp_path, methods=("sam", "sam@longer"), **more):
    arguments = {"settings": LONGER, "grid": GRID, "tuned_as": {"sam@longer": "sam"}, **more}
    return Design("digits", methods, 6, tmp_path, **arguments)


def test_a_variant_takes_what_was_chosen_and_keeps_what_is_its_own(tmp_path):
    planned = design(tmp_path)
    assert [cell.method for cell in planned.untuned] == ["sam"]  # no trials for the variant
    overrides, _ = planned.overrides({"sam": {"training.lr": 0.2, "sam.rho": 0.02}})
    cells = {c.method: c for c in planned.cells(overrides) if c.seed == 0}
    from landscape.training.train import settings_for

    for name, epochs in (("sam", 40), ("sam@longer", 80)):
        chosen = settings_for("digits", name, 0, cells[name].overrides)
        assert chosen.training.lr == 0.2 and chosen.methods["sam"]["rho"] == 0.02
        assert chosen.training.epochs == epochs


def test_values_of_a_variant_move_to_the_one_that_follows_unless_that_sets_them(tmp_path):
    own = {"sam@b": {"rho": 0.3}, "sam@c": {}}
    planned = design(
        tmp_path, ("sam@a", "sam@b", "sam@c"), settings=own,
        grid={"sam@a.rho": (0.1, 0.2)}, tuned_as={"sam@b": "sam@a", "sam@c": "sam@a"},
    )  # fmt: skip
    overrides, _ = planned.overrides({"sam@a": {"sam@a.rho": 0.2}})
    assert overrides["sam@b"]["sam@b"]["rho"] == 0.3
    assert overrides["sam@c"]["sam@c"]["rho"] == 0.2


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"sam@other": "sam"}, "sam@other is not among the methods"),
        ({"sam@longer": "asam"}, "asam is not among the methods"),
        ({"sam@longer": "sam", "sam": "sam@longer"}, "needs a method that is tuned itself"),
        ({"sgd": "sam"}, "variants of one method. Got sgd as sam"),
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path, pairs, message):
    with pytest.raises(ValueError, match=message):
        design(tmp_path, ("sgd", "sam", "sam@longer"), tuned_as=pairs)


def test_seeds_begin_where_they_are_asked_to_and_trials_never_share_them(tmp_path):
    planned = design(tmp_path, first_seed=998)
    assert planned.seed_numbers == [998, 999, 1000, 1001, 1002, 1003]
    assert planned.first_trial == 1004
    assert design(tmp_path).first_trial == 1000
    for seed in (-1, 2**31):  # a record holds 32 bits, and is written when all is trained
        with pytest.raises(ValueError, match="`first_seed` must lie between 0 and 2147483641"):
            design(tmp_path, first_seed=seed)
