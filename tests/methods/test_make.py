"""Methods by name: nesting, settings, and the errors that name what is known."""

import pytest

from landscape.methods import ASAM, LETS, METHODS, NEWER, PAPERS, Lookbehind, make, options


def test_the_registry_is_in_its_fixed_order():
    assert " ".join(PAPERS) == "sgd adamw sam asam lookbehind lets msam fam aace"
    assert " ".join(NEWER) == "friendly-sam gsam looksam wsam sam-on"
    assert list(METHODS) == [*PAPERS, "multistep-sam", "lookahead", *NEWER]


def test_settings_by_method():
    assert options("sam") == ["rho", "normalize"]
    assert options("asam") == ["rho", "eta", "scaled"]
    assert options("lookbehind") == ["rho", "k", "alpha", "scope", "reuse"]
    assert options("lets") == [
        *["rho", "beta", "hessian", "upper", "independent", "every", "parameterisation", "bounds"]
    ]
    assert options("msam") == ["rho", "num_shards", "mode"]
    assert options("fam") == ["lam", "layer", "form", "gradient", "warmup", "draws"]
    assert options("aace") == ["rho", "normalize", "threshold", "mode"]
    assert options("multistep-sam") == ["rho", "k", "split", "average"]
    assert options("lookahead") == ["k", "alpha", "same_batch"]
    assert options("friendly-sam") == ["rho", "sigma", "lam", "adaptive"]
    assert options("gsam") == ["rho", "alpha", "rho_min", "lr_max", "lr_min", "minimize_fp"]
    assert options("looksam") == ["rho", "k", "alpha"]
    assert options("wsam") == ["rho", "gamma", "decouple"]
    assert options("sam-on") == ["rho", "no_norm"]
    assert options("sgd") == options("adamw") == []


def test_names_nest_outermost_first():
    settings = {"asam": {"rho": 0.7}, "lets": {"beta": 0.1}, "fam": {"lam": 1.0}}
    assert make("lets+asam", settings) == LETS(beta=0.1, over=ASAM(rho=0.7))
    assert make("asam", settings) == ASAM(rho=0.7)
    assert make("lookbehind+asam") == Lookbehind(over=ASAM())
    assert all(type(make(name)) is METHODS[name] for name in METHODS)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("smam", {}, "Unknown method 'smam'. Did you mean 'sam'? Known: sgd, adamw, sam, asam"),
        ("qqq", {}, "Unknown method 'qqq'. Known: sgd"),
        ("lets+asm", {}, "Unknown method 'asm'. Did you mean"),
        ("", {}, "Unknown method ''. Known: sgd"),
        ("sam", {"sma": {"rho": 1.0}}, "Unknown method 'sma'. Did you mean 'sam'?"),
        ("sam", {"asam": {"etta": 1.0}}, "Unknown setting of asam 'etta'. Did you mean 'eta'?"),
        ("lets", {"lets": {"over": None}}, "Unknown setting of lets 'over'."),
        ("sgd", {"sgd": {"lr": 0.1}}, "Unknown setting of sgd 'lr'. Known: none."),
        ("asam+lets", {}, "'asam+lets' does not nest: asam takes no other method inside."),
        ("msam+lets", {}, "Got LETS: a learned radius goes around everything else."),
    ],
)
def test_what_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=r"Got|Unknown|does not nest") as caught:
        make(name, settings)
    assert message in str(caught.value)
