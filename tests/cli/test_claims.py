"""landscape claims: what it refuses, plans, runs, and goes on with."""

import json

import pytest

from landscape.claims import study_file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--paper", "lookbehnd"), "Did you mean 'lookbehind'?"),
        (("--study", "digit"), "Did you mean 'digits'?"),
        (("--paper", "fam", "--study", "split-digits"), "none of these claims needs it"),
        (("--quick", "--study", "digits"), "leave out `study`"),
        (("--paper", ",", "--dry-run"), "`paper` needs at least one name"),
        (
            ("--study", "digits", "--dry-run", "--first-seed", 2**40),
            "between 0 and 2147483627",
        ),
        (("--paper", "fam", "--study", "cifar10-resnet18"), "needs a CUDA card"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(refused, arguments, message):
    (line,) = refused("claims", *arguments)
    assert message in line


def test_a_plan_of_a_papers_studies_writes_nothing(landscape, tmp_path):
    code, out, _ = landscape("claims", "--paper", "msam", "--study", "digits", "--dry-run")
    assert code == 0 and "compare 2 methods × 20 seeds on digits" in out
    assert "tune msam" in out and not list(tmp_path.iterdir())


def test_a_plan_leaves_out_what_a_run_would_leave_out(landscape):
    code, out, err = landscape("claims", "--study", "fashion-mnist,cifar10-resnet18", "--dry-run")
    assert code == 0 and out == ""
    assert "fashion-mnist is left out: Fashion-MNIST needs" in err
    assert "cifar10-resnet18 is left out: needs a CUDA card." in err


@pytest.mark.slow
def test_a_quick_look_runs_stops_and_goes_on(landscape, tmp_path, monkeypatch):
    monkeypatch.setattr(study_file, "QUICK_SEEDS", 2)
    code, out, _ = landscape("claims", "--paper", "sam", "--quick", "--out", "out", "--workers", 1)
    assert code == 0 and "SAM finds a flatter minimum than SGD, digits, MLP: ×" in out
    assert out.splitlines()[-1].endswith("claims.html")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"digits-quick", "claims.json", "claims.md", "claims.html", "figures"}
    record = json.loads((tmp_path / "out" / "claims.json").read_text("utf-8"))
    (row,) = record["claims"]
    assert record["quick"] and row["gain"]["n"] == 2 and row["seeds"] == [0, 1]
    assert record["studies"]["digits"]["trials"] == {"sgd": 4, "sam": 4}
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("weights.safetensors")}
    arguments = ("claims", "--paper", "sam", "--quick", "--out", "out", "--json", "--workers", 1)
    again = json.loads(landscape(*arguments).out)
    assert again["verdicts"][0]["name"] == "SAM 1"
    assert before == {p: p.stat().st_mtime_ns for p in before}
