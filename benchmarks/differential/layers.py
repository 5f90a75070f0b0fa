"""Ways of computing that are no plain stack of layers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from differential.case import Case, answer, cross_entropy, labelled, squares, uneven


def classified(model: nn.Module, **options: Any) -> Case:
    return Case(model, labelled(), cross_entropy, answer, **options)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(5, 4), nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(5, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        p, chosen = self.gate(x).softmax(1).max(1)
        z = x.new_zeros(len(x), 4)
        for i, expert in enumerate(self.experts[:3]):  # the last one is never asked
            rows = chosen == i
            z[rows] = expert(x[rows])
        return self.head(F.gelu(z) * p[:, None])


def experts() -> Case:
    return classified(Experts())


class Auxiliary(nn.Module):
    """A head in the middle, that counts while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.side = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        z = self.a(x).tanh()
        return self.head(self.b(z).tanh()), self.side(z) if self.training else None


def auxiliary() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        z, side = model(b.x)
        total = F.cross_entropy(z, b.y)
        return total if side is None else total + 0.4 * F.cross_entropy(side, b.y)

    return Case(Auxiliary(), labelled(), loss, lambda m, b: m(b.x)[0])


class Hyper(nn.Module):
    """A network that writes the weights of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 9))

    def forward(self, x: Tensor) -> Tensor:
        W = self.net(x[:, :2]).view(-1, 3, 3)
        return (W @ x[:, 2:, None])[..., 0]


def hypernetwork() -> Case:
    return classified(Hyper())


class Equilibrium(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside, self.head = nn.Linear(4, 4), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = x.new_zeros(len(x), 4)
        for _ in range(8):
            z = torch.tanh(0.5 * self.inside(z) + self.outside(x))
        return self.head(z)


def equilibrium() -> Case:
    return classified(Equilibrium())


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.modes = nn.Parameter(torch.randn(3, 2) * 0.5)
        self.mix = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x)
        kept = spectrum[:, :3] * torch.view_as_complex(self.modes)
        z = torch.fft.irfft(F.pad(kept, (0, spectrum.shape[1] - 3)), n=x.shape[1])
        return z + F.gelu(self.mix(x[..., None])[..., 0])


def fourier() -> Case:
    x = torch.randn(20, 8)
    return Case(Fourier(), uneven(x, x.roll(1, 1)), squares)


class RMS(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.end = RMS(5), nn.RMSNorm(5)
        self.up, self.gate = nn.Linear(5, 4, bias=False), nn.Linear(5, 4, bias=False)
        self.down, self.head = nn.Linear(4, 5, bias=False), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.norm(x)
        return self.head(self.end(x + self.down(F.silu(self.gate(z)) * self.up(z))))


def gated() -> Case:
    return classified(Gated())


def layer_norm() -> Case:
    return classified(nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.PReLU(), nn.Linear(4, 3)))


def lazy() -> Case:
    model = nn.Sequential(nn.LazyLinear(4), nn.Softplus(), nn.LazyLinear(3))
    batches = labelled()
    model(batches[0][0])
    return Case(model, batches, cross_entropy, answer)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x).tanh()
        return self.head(checkpoint(lambda t: self.b(t).tanh(), z, use_reentrant=False))


def checkpointed() -> Case:
    return classified(Checkpointed())


class HalfInside(nn.Module):
    """Casts to bfloat16 around one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x).tanh().bfloat16()
        z = F.linear(z, self.b.weight.bfloat16(), self.b.bias.bfloat16())
        return self.head(z.to(x).tanh())


def half_inside() -> Case:
    return classified(HalfInside(), tolerance=0.03)


class Counting(nn.Module):
    """Counts its calls and keeps a moving centre, in eval mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(5, 4), nn.Linear(4, 3)
        self.register_buffer("centre", torch.zeros(4))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x)
        out = self.head(torch.tanh(z - self.centre))
        self.centre.mul_(0.9).add_(0.1 * z.detach().mean(0))
        self.calls += 1
        return out


def counting() -> Case:
    batches = [(torch.randn(20, 5), torch.randint(3, (20,)))]
    return Case(Counting(), batches, cross_entropy, answer)


class Alternating(nn.Module):
    """Heads that take turns, by the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = nn.Linear(5, 4), nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.heads[len(x) % 2](self.body(x).tanh())


def alternating() -> Case:
    x, y = torch.randn(33, 5), torch.randint(3, (33,))
    batches = [(x[:18], y[:18]), (x[18:], y[18:])]
    return Case(Alternating(), batches, cross_entropy, answer)


class Recurrence(nn.Module):
    """One layer, used five times; bilinear head."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.head = nn.Linear(5, 5), nn.Bilinear(5, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = x
        for _ in range(5):
            z = z + 0.2 * self.step(z).tanh()
        return self.head(z, x[:, :2])


def recurrence() -> Case:
    return classified(Recurrence())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.encoder(x)) @ self.encoder.weight


def tied() -> Case:
    x = torch.randn(20, 6)
    return Case(Tied(), uneven(x, x), squares)


class Splines(nn.Module):
    """Learned functions on the edges, as sums of bumps."""

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.randn(3, 5, 4) * 0.3)
        self.register_buffer("knots", torch.linspace(-2, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        bumps = torch.exp(-((x[..., None] - self.knots) ** 2))
        return torch.einsum("nik,oik->no", bumps, self.coefficients)


def splines() -> Case:
    return classified(Splines())


CASES = {
    "experts, hard routing, one never asked": experts,
    "tuple output, auxiliary head in training": auxiliary,
    "hypernetwork": hypernetwork,
    "fixed-point iteration": equilibrium,
    "Fourier layer, complex numbers inside": fourier,
    "RMS norms, gated": gated,
    "layer norm, PReLU": layer_norm,
    "LazyLinear after its first batch": lazy,
    "activation checkpoint": checkpointed,
    "bfloat16 casts inside": half_inside,
    "buffers updated in forward": counting,
    "heads that take turns": alternating,
    "one layer used five times, Bilinear": recurrence,
    "tied auto-encoder": tied,
    "splines on the edges": splines,
}
