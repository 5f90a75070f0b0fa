"""Settings: precedence, and every mistake named at once."""

import pytest

from landscape.training.settings import Settings, TrainingSettings, resolve


def test_later_layers_win_and_a_methods_own_section_wins_over_the_general_one():
    task = {"training": {"epochs": 5, "lr": 0.2}, "sam": {"training": {"lr": 0.3}}}
    user = {"training": {"epochs": 7}, "sam": {"rho": 0.1, "training": {"momentum": 0.5}}}
    sam, sgd = (resolve("digits", m, 0, task, user) for m in ("sam", "sgd"))
    assert (sam.training.epochs, sam.training.lr, sam.training.momentum) == (7, 0.3, 0.5)
    assert (sgd.training.epochs, sgd.training.lr, sgd.training.momentum) == (7, 0.2, 0.9)
    assert sam.methods == {"sam": {"rho": 0.1}} and sgd.methods == {"sgd": {}}


def test_a_nested_method_takes_both_sections():
    settings = resolve("digits", "lets+asam", 0, {"asam": {"rho": 1.0}, "lets": {"beta": 0.02}})
    assert settings.methods == {"lets": {"beta": 0.02}, "asam": {"rho": 1.0}}


def test_dict_and_back():
    settings = resolve("digits", "sam", 3, {"training": {"milestones": [0.1]}, "sam": {"rho": 0.2}})
    assert Settings.from_dict(settings.to_dict()).to_dict() == settings.to_dict()


def test_all_unknown_keys_at_once_each_with_the_nearest():
    with pytest.raises(ValueError) as error:
        resolve("digits", "sam", 0, {"trainig": {}, "sam": {"roh": 1}, "training": {"epoch": 2}})
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "'trainig'. Did you mean 'training'?" in lines[0]
    assert "'sam.roh'. Did you mean 'sam.rho'?" in lines[1]
    assert "'training.epoch'. Did you mean 'training.epochs'?" in lines[2]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "`training.epochs` must be at least 1. Got 0."),
        ("lr", -1.0, "`training.lr` must be positive. Got -1.0."),
        ("schedule", "cosin", "Did you mean 'cosine'?"),
        ("momentum", 1.0, r"must be in \[0, 1\). Got 1.0."),
        ("max_grad_norm", 0.0, "must be positive. Got 0.0."),
        ("max_grad_norm", float("nan"), "`training.max_grad_norm` must be positive. Got nan."),
        ("max_grad_norm", float("inf"), "must be positive, and finite. Got inf."),
        ("lr", float("inf"), "`training.lr` must be positive, and finite. Got inf."),
        ("weight_decay", float("inf"), "must be non-negative, and finite. Got inf."),
    ],
)
def test_values_out_of_range_are_refused(key, value, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**{key: value})


def test_a_negative_radius_is_refused_with_the_settings():
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got -0.1."):
        resolve("digits", "sam", 0, {"sam": {"rho": -0.1}})


def test_a_variant_follows_its_method_and_its_own_section_wins():
    task = {"sam": {"training": {"lr": 0.3}}, "sam@wide": {"rho": 0.4}}
    user = {"training": {"lr": 0.2}, "sam@wide": {"training": {"epochs": 7}}, "sam": {"rho": 0.1}}
    user["sam@wide"]["rho"] = 0.2
    wide, sam = (resolve("digits", m, 0, task, user) for m in ("sam@wide", "sam"))
    assert (wide.training.lr, wide.training.epochs, wide.methods) == (0.2, 7, {"sam": {"rho": 0.2}})
    assert (sam.training.epochs, sam.methods) == (30, {"sam": {"rho": 0.1}})
    inside = resolve("digits", "lets+sam@wide", 0, user)
    assert inside.methods == {"lets": {}, "sam": {"rho": 0.2}}
    assert Settings.from_dict(wide.to_dict()).method == "sam@wide"


@pytest.mark.parametrize("name", ["sam@", "sam@a/b", "sam@a@b", "lets+sam@a.b"])
def test_a_label_is_a_word(name):
    with pytest.raises(ValueError, match="A variant is written as in 'sam@wide'"):
        resolve("digits", name, 0)


@pytest.mark.parametrize("section", ["training@wide", "lets+sam@wide", "smam@wide"])
def test_only_methods_have_variants(section):
    with pytest.raises(ValueError, match="Unknown settings section"):
        resolve("digits", "sam", 0, {section: {}})


def test_settings_from_before_label_noise_have_none():
    tree = resolve("digits", "sam", 0).to_dict()
    del tree["data"]["label_noise"]
    assert Settings.from_dict(tree).data.label_noise == 0.0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_an_impossible_label_noise_is_refused(share):
    with pytest.raises(ValueError, match=rf"`data.label_noise` must be in \[0, 1\). Got {share}."):
        resolve("digits", "sam", 0, {"data": {"label_noise": share}})
