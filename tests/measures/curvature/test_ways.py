"""Products by double backward or forward over reverse, in ieee or a coarser arithmetic."""

import pytest
import torch
import torch.nn.functional as F

from landscape import Objective
from landscape.measures import Eigenvalues, SpectralDensity, Trace
from landscape.measures.curvature import operator as module
from landscape.measures.curvature.operator import Operator, operator
from landscape.measures.rows.shared_rows import Share, ShareDone
from landscape.network import isolation
from landscape.network.precision import arithmetic, float32_arithmetic


@pytest.fixture
def timed(monkeypatch):
    """timed(double backward, forward over reverse): seconds of a product of each."""

    def set_(backward, forward):
        now = [0.0]
        monkeypatch.setattr(module, "MEASURED_ON", ("cpu",))
        monkeypatch.setattr(Operator, "_clock", lambda self: now[0])
        for name, seconds in (("_product", backward), ("_forward", forward)):
            plain = getattr(Operator, name)

            def taking(self, v, at, plain=plain, seconds=seconds):
                now[0] += seconds
                return plain(self, v, at)

            monkeypatch.setattr(Operator, name, taking)

    return set_


def test_the_cpu_measures_nothing(objective):
    made = operator(objective())
    assert (made.products, made.ways, made.count) == ("double backward", "", 2)


def test_the_faster_way_is_taken(objective, dense_hessian, timed):
    timed(backward=1.0, forward=0.5)
    subject = objective()
    made = operator(subject)
    assert (made.products, made.graphs) == ("forward over reverse", "none")
    assert made.ways == "forward over reverse takes 0.50 of the time of double backward"
    assert made.count == 4
    v = torch.randn(53, dtype=torch.float64)
    torch.testing.assert_close(made.matvec(v), dense_hessian(subject) @ v)
    record = Eigenvalues(k=2)(subject)
    assert (record.products, record.ways) == (made.products, made.ways)
    exact = torch.linalg.eigvalsh(dense_hessian(subject))
    assert record.values[0] == pytest.approx(float(exact[-1]), rel=1e-4)


def test_a_share_takes_the_products_that_the_head_has_chosen(
    objective, timed, tmp_path, monkeypatch
):
    timed(backward=1.0, forward=0.5)
    subject, density, path = objective(), SpectralDensity(probes=2, steps=3), tmp_path / "rows"
    with pytest.raises(ShareDone) as head:
        density(subject, keep=Share(path))
    assert head.value.ways[0] == "forward over reverse"
    monkeypatch.setattr(module, "MEASURED_ON", ())  # a worker that would take double backward
    share = Share(path.with_name("rows.1-1"), (1,), head.value.ways)
    with pytest.raises(ShareDone) as worker:
        density(subject, keep=share)
    assert worker.value.ways == head.value.ways
    record = density(subject, keep=Share(path, ways=head.value.ways, ordered=(1,)))
    assert record.products == "forward over reverse" and not path.exists()
    with pytest.raises(ValueError, match="Products by finite differences, as in another process"):
        density(subject, keep=Share(path, (1,), ("finite differences", "1000000")))


@pytest.mark.parametrize("seconds", [0.95, 2.0])
def test_a_way_that_hardly_pays_is_not_taken(objective, timed, seconds):
    timed(backward=1.0, forward=seconds)
    made = operator(objective())
    assert (made.products, made.graphs) == ("double backward", "kept")
    assert f"takes {seconds:.2f} of the time" in made.ways


def test_a_way_that_differs_is_not_taken_and_said(objective, timed, monkeypatch):
    timed(backward=1.0, forward=0.5)
    right = module.forward_over_reverse
    monkeypatch.setattr(module, "forward_over_reverse", lambda *args: 1.001 * right(*args))
    made = operator(objective())
    assert made.products == "double backward"
    assert "differs by 0.001: not used" in made.ways


def test_a_way_that_torch_does_not_have_is_said(objective, timed, monkeypatch):
    def missing(*_):
        raise NotImplementedError("Trying to use forward AD with a kernel.\nMore words.")

    timed(backward=1.0, forward=0.5)
    monkeypatch.setattr(module, "forward_over_reverse", missing)
    made = operator(objective())
    assert made.products == "double backward"
    assert made.ways == (
        "forward over reverse is not available: Trying to use forward AD with a kernel."
    )


def test_gauss_newton_has_one_way(objective, timed):
    timed(backward=1.0, forward=0.5)
    assert operator(objective(), "gauss-newton").ways == ""


# --- arithmetic


def rounded(t):
    """Float32 with 10 bits of mantissa, as TF32 has."""
    bits = t.contiguous().view(torch.int32)
    return ((bits + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)


@pytest.fixture
def tf32(monkeypatch):
    """Products of the operator that round their vector as TF32 does, where they are asked to."""
    plain = Operator._product

    def coarse(self, v, at):
        if float32_arithmetic() == "ieee":
            return plain(self, v, at)
        return rounded(plain(self, rounded(v), at))

    monkeypatch.setattr(Operator, "_product", coarse)


@pytest.fixture
def single(net, data):
    pairs = [(batch.x.float(), batch.y) for batch in data()]
    return Objective(net("mlp").float(), pairs, lambda m, b: F.cross_entropy(m(b.x), b.y))


def test_coarse_products_are_certified_against_fine_ones(objective, dense_hessian, single, tf32):
    exact = torch.linalg.eigvalsh(dense_hessian(objective())).flip(0)[:3].numpy()
    record = Eigenvalues(k=3, which="largest", precision="tf32")(single)
    assert record.precision == "tf32"
    assert 1e-5 < record.precision_error < 1e-2
    assert (abs(record.values - exact) <= record.bounds).all()
    ieee = Eigenvalues(k=3, which="largest")(single)
    assert (ieee.precision, ieee.precision_error) == ("ieee", 0.0)
    loose = Eigenvalues(k=3, which="largest", precision="tf32", tolerance=1e-2)(single)
    assert loose.converged.all()
    assert (loose.bounds > 2 * ieee.bounds).all()  # the error of the arithmetic is in them


def test_the_trace_includes_the_error_of_the_arithmetic(objective, dense_hessian, single, tf32):
    exact = float(dense_hessian(objective()).trace())
    coarse, fine = (Trace(precision=p)(single) for p in ("tf32", "auto"))
    assert coarse.low <= exact <= coarse.high
    assert (coarse.precision, fine.precision) == ("tf32", "ieee")
    assert coarse.precision_error > 0 == fine.precision_error
    assert SpectralDensity(probes=2, steps=5, precision="tf32")(single).precision_error > 0


def test_the_interval_is_wider_by_the_error_of_forms(single, monkeypatch):
    narrow = Trace(precision="tf32")(single)

    def measured(self, _):
        self.form_error = 0.1

    monkeypatch.setattr(Operator, "_measure_precision", measured)
    wide = Trace(precision="tf32")(single)
    assert wide.high - wide.low > 0.1 * abs(wide.value) + (narrow.high - narrow.low)


def test_full_precision_follows_the_arithmetic(monkeypatch):
    backend = torch.backends.cuda.matmul
    before = backend.fp32_precision
    for name in ("ieee", "tf32"):
        with arithmetic(name), isolation.full_precision(torch.device("cpu")):
            assert backend.fp32_precision == torch.backends.cudnn.conv.fp32_precision == name
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
    assert backend.fp32_precision == before and float32_arithmetic() == "ieee"


@pytest.mark.parametrize("measure", [Eigenvalues, Trace, SpectralDensity])
def test_unknown_arithmetic_is_refused(measure):
    with pytest.raises(
        ValueError, match=r"`precision` must be one of auto, ieee, tf32\. Got 'bf16'"
    ):
        measure(precision="bf16")
