"""Settings: where they come from, who wins, and all that can be wrong with them at once."""

import pytest

from landscape.methods import METHODS
from landscape_cli.checking import checked
from landscape_cli.settings import assigned, from_file, grid, merged, read


def lines(error):
    return str(error.value).splitlines()


def test_values_are_toml_or_else_text():
    tree = assigned(
        ["a.float=.5", "a.integer=3", "a.number=1e-3", "a.list=[1, 2]", "a.yes=true", "a.text=exp",
         "a.quoted='3'", "a.equals=x=y", "a.two=1\nb=2", "a.file=.toml"]
    )  # fmt: skip
    assert tree == {
        "a": {
            "float": 0.5, "integer": 3, "number": 1e-3, "list": [1, 2], "yes": True,
            "text": "exp", "quoted": "3", "equals": "x=y", "two": "1\nb=2", "file": ".toml",
        }
    }  # fmt: skip


@pytest.mark.parametrize("text", ["rho=1", "rho", "sam.rho", "sam.=1", ".rho=1", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(ValueError, match=r"takes section.key=value. Got "):
        assigned([text])


def test_later_leaves_win_and_their_neighbours_stay():
    tree = merged({"a": {"b": 1, "c": {"d": 2}}}, {"a": {"c": {"e": 3}}}, {"a": {"b": 4}})
    assert tree == {"a": {"b": 4, "c": {"d": 2, "e": 3}}}


def test_flags_beat_set_and_set_beats_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[training]\nepochs = 1\nlr = 0.5\nmomentum = 0.1\n[sam]\nrho = 0.3\n")
    tree = read(path, ["training.lr=0.7", "training.epochs=2"], ["sgd"], epochs=3, device=None)
    assert tree == {
        "training": {"epochs": 3, "lr": 0.7, "momentum": 0.1},
        "sam": {"rho": 0.3},
    }


def test_values_take_the_types_of_their_fields():
    tree = read(
        None,
        ["training.lr=1", "training.milestones=[0.25, 0.5]", "sam.training.lr=2"],
        ["sam"],
    )
    assert tree["training"] == {"lr": 1.0, "milestones": (0.25, 0.5)}
    assert isinstance(tree["training"]["lr"], float)
    assert isinstance(tree["sam"]["training"]["lr"], float)


def test_every_unknown_key_is_named_with_the_nearest():
    with pytest.raises(ValueError) as error:
        read(None, ["trainig.lr=1", "training.epoch=1", "sam.roh=1", "sam.data.size=2"], ["sam"])
    found = lines(error)
    assert len(found) == 4
    for line, wrong, near in zip(
        found,
        ["'trainig'", "'training.epoch'", "'sam.roh'", "'sam.data.size'"],
        ["'training'", "'training.epochs'", "'sam.rho'", "'sam.data."],
        strict=True,
    ):
        assert line.startswith("Unknown setting")
        assert wrong in line
        assert f"Did you mean {near}" in line


def test_every_wrong_type_is_named():
    with pytest.raises(ValueError) as error:
        read(
            None,
            ["training.epochs=many", "training.lr='0.1'", "sam.rho=nan", "sam.training.nesterov=1"],
            ["sam"],
        )
    assert lines(error) == [
        "training.epochs: should be a valid integer. Got 'many'.",
        "training.lr: should be a valid number. Got '0.1'.",
        "sam.rho: should be a finite number. Got nan.",
        "sam.training.nesterov: should be a valid boolean. Got 1.",
    ]


def test_every_value_out_of_range_is_named():
    with pytest.raises(ValueError) as error:
        read(
            None,
            ["training.epochs=0", "training.lr=-1", "sam.rho=-0.1", "sam.training.lr=0"],
            ["sam"],
        )
    assert lines(error) == [
        "`training.epochs` must be at least 1. Got 0.",
        "`training.lr` must be positive. Got -1.0.",
        "`sam.rho` must be non-negative. Got -0.1.",
        "`sam.training.lr` must be positive. Got 0.0.",
    ]


def test_a_choice_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'grad-evals'"):
        read(None, [], ["sgd"], budget="grad-eval")


def test_what_only_python_can_set_says_so():
    with pytest.raises(ValueError, match=r"^lets.over: only Python can set it. Got 'asam'.$"):
        checked({"lets": {"over": "asam"}}, METHODS)


def test_an_assignment_without_effect_is_refused_and_a_file_may_hold_more(tmp_path):
    with pytest.raises(ValueError, match="sam is not among the methods"):
        read(None, ["sam.rho=0.1"], ["sgd"])
    assert read(None, ["asam.rho=1"], ["lets+asam"])["asam"] == {"rho": 1.0}
    path = tmp_path / "all.toml"
    path.write_text("[sam]\nrho = 0.3\n")
    assert read(path, [], ["sgd"])["sam"] == {"rho": 0.3}


def test_broken_toml_says_where(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[training]\nepochs = = 3\n")
    with pytest.raises(ValueError, match=r"broken.toml is not valid TOML: .*line 2"):
        from_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"broken.toml is not valid TOML"):
        from_file(path)


def test_a_variant_is_set_by_its_own_name_and_by_that_of_its_method():
    tree = read(None, ["sam@wide.rho=.2", "sam.training.lr=1"], ["lets+sam@wide"])
    assert tree == {"sam@wide": {"rho": 0.2}, "sam": {"training": {"lr": 1.0}}}
    with pytest.raises(ValueError, match="sam@narrow is not among the methods"):
        read(None, ["sam@narrow.rho=1"], ["sam@wide"])
    with pytest.raises(ValueError, match=r"sam@wide.rho: should be a valid number. Got 'x'."):
        read(None, ["sam@wide.rho=x"], ["sam@wide"])


def test_a_grid_holds_typed_values_by_path():
    entries = ["sam.rho=.02,.05, 1", "training.milestones=[0.5],[0.5, 0.75]", "sam.rho=.3"]
    assert grid([*entries, "sam.training.schedule=step,cosine"], ["sgd", "sam"]) == {
        "sam.rho": [0.02, 0.05, 1.0, 0.3],
        "training.milestones": [(0.5,), (0.5, 0.75)],
        "sam.training.schedule": ["step", "cosine"],
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("sam.rho=", "`--grid` takes section.key=value,value. Got 'sam.rho='."),
        ("rho=1,2", "`--grid` takes section.key=value. Got 'rho=1'."),
        ("sam.rho=.1,", "sam.rho: should be a valid number. Got ''."),
        ("sam.rho=.1,x", "sam.rho: should be a valid number. Got 'x'."),
        ("sam.roh=1,2", "Unknown setting 'sam.roh'. Did you mean 'sam.rho'?"),
        ("fam.lam=1,2", "`--grid fam...` has no effect: fam is not among the methods."),
        ("training.lr=.1,-1", "`training.lr` must be positive. Got -1.0."),
    ],
)
def test_a_grid_that_cannot_be(entry, message):
    with pytest.raises(ValueError) as error:
        grid([entry], ["sam"])
    assert str(error.value).startswith(message)


def test_unknown_keys_wrong_types_and_ranges_are_told_together():
    with pytest.raises(ValueError) as error:
        read(
            None,
            ["trainig.lr=1", "training.epoch=1", "training.lr=fast", "training.gamma=-1",
             "sam.rho=-1", "sam.training.epochs=0.5", "fam.lam=x"],
            ["sam"],
        )  # fmt: skip
    found = lines(error)
    assert len(found) == 8
    assert found[0].startswith("Unknown settings section 'trainig'. Did you mean 'training'?")
    assert any(line.startswith("Unknown setting 'training.epoch'.") for line in found)
    assert any(line.startswith("`--set fam...` has no effect") for line in found)
    assert "fam.lam: should be a valid number. Got 'x'." in found
    assert "`sam.rho` must be non-negative. Got -1.0." in found
    assert "training.lr: should be a valid number. Got 'fast'." in found
    assert "`training.gamma` must be non-negative. Got -1.0." in found
    assert "sam.training.epochs: should be a valid integer. Got 0.5." in found


def test_one_adapter_for_each_dataclass(monkeypatch):
    from landscape_cli import checking

    checking._adapter.cache_clear()
    read(None, ["sam.rho=1", "training.lr=1", "sam.training.lr=2", "training.epochs=3"], ["sam"])
    assert checking._adapter.cache_info().misses == 2


def test_sections_are_known_in_any_case():
    tree = read(None, ["SAM.rho=1", "Training.lr=2", "sam.training.epochs=3", "Sam@w.rho=4"],
                ["sam", "sam@w"])  # fmt: skip
    assert tree == {
        "sam": {"rho": 1.0, "training": {"epochs": 3}}, "training": {"lr": 2.0},
        "sam@w": {"rho": 4.0},
    }  # fmt: skip


def test_a_section_lies_only_in_a_method():
    with pytest.raises(ValueError, match=r"Unknown setting 'training\.data'"):
        read(None, ["training.data.batch_size=3"], ["sam"])
    with pytest.raises(ValueError, match=r"Unknown setting 'sam\.asam'"):
        read(None, ["sam.asam.rho=3"], ["sam"])
