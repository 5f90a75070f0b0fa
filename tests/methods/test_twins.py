"""Twenty steps of each method against a naive twin in its paper's variables.

Float64, momentum 0.9, weight decay 5e-4, a new batch each step. The twin has its own base optimizer
and knows nothing of walkers. (fam: test_fam_over; sam-on: test_sam_on.)
"""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

LR, MU, DECAY = 0.1, 0.9, 5e-4


class Twin:
    """w (n,), the momentum b (n,), and gradients by functional_call."""

    def __init__(self, net, held_out):
        self.net, self.held_out, self.b = net, held_out, None
        self.w = torch.cat([p.detach().flatten() for p in net.parameters()])
        names = [(name, p.shape) for name, p in net.named_parameters()]
        self.scaled = torch.cat([torch.full(s, "weight" in n).flatten() for n, s in names])

    def loss_and_grad(self, w, x, y, loss=F.cross_entropy):
        w = w.clone().requires_grad_()
        named = zip(
            self.net.named_parameters(),
            w.split([p.numel() for p in self.net.parameters()]),
            strict=True,
        )
        z = functional_call(self.net, {name: t.view(p.shape) for (name, p), t in named}, (x,))
        value = loss(z, y)
        return value.detach(), torch.autograd.grad(value, w)[0]

    def grad(self, w, x, y, loss=F.cross_entropy):
        return self.loss_and_grad(w, x, y, loss)[1]

    def base(self, w, g):
        """Torch's SGD: q = g + λw, b = μb + q, w - η b."""
        q = g + DECAY * w
        self.b = q if self.b is None else MU * self.b + q
        return w - LR * self.b


def sam_climb(t, g, w):
    return 0.3 * g / g.norm()


def asam_climb(t, g, w):
    T = torch.where(t.scaled, w.abs() + 0.01, 1.0)
    return 0.3 * T**2 * g / (T * g).norm()


def adversarial(z, y):
    """-log(1 - p_y): threshold 0."""
    p_y = z.softmax(-1).gather(1, y[:, None])
    return -torch.log(1 - p_y).mean()


def sgd(t, x, y):
    t.w = t.base(t.w, t.grad(t.w, x, y))


def sam(t, x, y, climb=sam_climb):
    e = climb(t, t.grad(t.w, x, y), t.w)
    t.w = t.base(t.w, t.grad(t.w + e, x, y))


def asam(t, x, y):
    sam(t, x, y, asam_climb)


def aace(t, x, y):
    a = t.grad(t.w, x, y, adversarial)
    t.w = t.base(t.w, t.grad(t.w - 0.3 * a, x, y))


def msam(t, x, y, climb=sam_climb, attack=F.cross_entropy, m=5):
    G = 0.0
    for i in range(m):
        rows = slice(12 * i // m, 12 * (i + 1) // m)
        S = x[rows], y[rows]
        e = climb(t, t.grad(t.w, *S, attack), t.w)
        G = G + len(S[0]) / 12 * t.grad(t.w + e, *S)
    t.w = t.base(t.w, G)


def msam_aace(t, x, y):
    msam(t, x, y, lambda t, a, w: -0.3 * a, adversarial)


def lookbehind(t, x, y, climb=sam_climb, k=3, m=1):
    S = [(x[12 * j // m : 12 * (j + 1) // m], y[12 * j // m : 12 * (j + 1) // m]) for j in range(m)]
    phi = f = t.w
    z = [phi] * m
    for i in range(k):
        z = [z_j + climb(t, t.grad(z_j, *S_j), z_j) for z_j, S_j in zip(z, S, strict=True)]
        g = torch.stack([t.grad(z_j, *S_j) for z_j, S_j in zip(z, S, strict=True)]).mean(0)
        f = t.base(f, g)
        first = f if i == 0 else first  # noqa: F821
    d1, dk = first - phi, f - phi
    t.w = phi + (d1 @ dk / d1.norm() / dk.norm() + 1) / 2 * dk


def lookbehind_asam(t, x, y):
    lookbehind(t, x, y, asam_climb)


def lookbehind_msam_asam(t, x, y):
    lookbehind(t, x, y, asam_climb, m=4)


def multistep(t, x, y, k=3):
    z = t.w
    for _ in range(k):
        z = z + sam_climb(t, t.grad(z, x, y), z)
    t.w = t.base(t.w, t.grad(z, x, y))


def lookahead_asam(t, x, y, k=3):
    t.count = getattr(t, "count", 0) + 1
    if t.count % k == 1:
        t.phi = t.w
    asam(t, x, y)
    if t.count % k == 0:
        t.w = t.phi + 0.4 * (t.w - t.phi)


def lets(t, x, y):
    """Secant, the response -η of SGD, ν = log ρ moved by torch's Adam, order "next"."""
    if not hasattr(t, "nu"):
        t.nu = torch.tensor([0.3], dtype=torch.float64).log().requires_grad_()
        t.adam, t.Hv = torch.optim.Adam([t.nu], lr=0.05, eps=0.0), None
    rho, theta, pending = t.nu.detach().exp(), t.w, t.Hv
    L, g = t.loss_and_grad(theta, x, y)
    gt = t.grad(theta + rho * g / g.norm(), x, y)
    t.w, t.Hv = t.base(theta, gt), (gt - g) / rho
    if pending is not None:
        L_vl, g_vl = t.loss_and_grad(theta, *next(t.held_out))
        t.nu.grad = -LR * (L_vl - L) * ((g_vl - g) @ pending) * rho
        t.adam.step()


def friendly(t, x, y):
    """The form of the authors' code: minus the average before this step."""
    g = t.grad(t.w, x, y)
    d = g - 0.8 * t.m if hasattr(t, "m") else g
    t.m = 0.7 * t.m + 0.3 * g if hasattr(t, "m") else g
    t.w = t.base(t.w, t.grad(t.w + 0.3 * d / d.norm(), x, y))


def gsam(t, x, y, climb=sam_climb):
    g = t.grad(t.w, x, y)
    G = t.grad(t.w + climb(t, g, t.w), x, y)
    t.w = t.base(t.w, G - 0.4 * (g - (g @ G) / (G @ G) * G))


def gsam_asam(t, x, y):
    gsam(t, x, y, asam_climb)


def gsam_msam(t, x, y):
    rows = [slice(3 * j, 3 * j + 3) for j in range(4)]
    total = 0.0
    for S in ((x[r], y[r]) for r in rows):
        g = t.grad(t.w, *S)
        G = t.grad(t.w + 0.3 * g / g.norm(), *S)
        total = total + (G - 0.4 * (g - (g @ G) / (G @ G) * G)) / 4
    t.w = t.base(t.w, total)


def gsam_aace(t, x, y):
    g, a = t.grad(t.w, x, y), t.grad(t.w, x, y, adversarial)
    G = t.grad(t.w - 0.3 * a, x, y)
    t.w = t.base(t.w, G - 0.4 * (g - (g @ G) / (G @ G) * G))


def looksam(t, x, y, k=3):
    t.count, g = getattr(t, "count", -1) + 1, t.grad(t.w, x, y)
    if t.count % k == 0:
        G = t.grad(t.w + 0.3 * g / g.norm(), x, y)
        cosine = (g @ G) / (g.norm() * G.norm())
        t.v = G - G.norm() * cosine * g / g.norm()
        t.w = t.base(t.w, G)
    else:
        t.w = t.base(t.w, g + 0.6 * g.norm() / t.v.norm() * t.v)


def wsam(t, x, y, gamma=0.8):
    g = t.grad(t.w, x, y)
    G = t.grad(t.w + 0.3 * g / g.norm(), x, y)
    t.w = t.base(t.w, g) - LR * gamma / (1 - gamma) * (G - g)


def wsam_coupled(t, x, y, gamma=0.8):
    g = t.grad(t.w, x, y)
    G = t.grad(t.w + 0.3 * g / g.norm(), x, y)
    t.w = t.base(t.w, (1 - 2 * gamma) / (1 - gamma) * g + gamma / (1 - gamma) * G)


ADAPTIVE = {"rho": 0.3, "k": 3, "alpha": "adaptive", "scope": "global"}
TWINS = {
    "sgd": (sgd, {}),
    "sam": (sam, {"sam": {"rho": 0.3}}),
    "asam": (asam, {"asam": {"rho": 0.3}}),
    "aace": (aace, {"aace": {"rho": 0.3}}),
    "msam": (msam, {"msam": {"rho": 0.3, "num_shards": 5}}),
    "msam+aace": (msam_aace, {"msam": {"rho": 0.3, "num_shards": 5}}),
    "lookbehind": (lookbehind, {"lookbehind": ADAPTIVE}),
    "lookbehind+asam": (lookbehind_asam, {"lookbehind": ADAPTIVE}),
    "lookbehind+msam+asam": (lookbehind_msam_asam, {"lookbehind": ADAPTIVE}),
    "multistep-sam": (multistep, {"multistep-sam": {"rho": 0.3, "k": 3}}),
    "lookahead+asam": (lookahead_asam, {"lookahead": {"k": 3, "alpha": 0.4}, "asam": {"rho": 0.3}}),
    "lets": (lets, {"lets": {"rho": 0.3, "beta": 0.05}}),
    "friendly-sam": (friendly, {"friendly-sam": {"rho": 0.3, "sigma": 0.8, "lam": 0.7}}),
    "gsam": (gsam, {"gsam": {"rho": 0.3}}),
    "gsam+asam": (gsam_asam, {"asam": {"rho": 0.3}}),
    "gsam+msam": (gsam_msam, {"gsam": {"rho": 0.3}}),
    "gsam+aace": (gsam_aace, {"aace": {"rho": 0.3}}),
    "looksam": (looksam, {"looksam": {"rho": 0.3, "k": 3, "alpha": 0.6}}),
    "wsam": (wsam, {"wsam": {"rho": 0.3, "gamma": 0.8}}),
    "wsam+sam": (wsam_coupled, {"wsam": {"rho": 0.3, "gamma": 0.8, "decouple": False}}),
}


@pytest.mark.parametrize("name", TWINS)
def test_twenty_steps(name, small_net, batches, trained):
    step, settings = TWINS[name]
    held_out = batches(3, seed=99)
    twin = Twin(small_net(), iter([(b.x, b.y) for b in held_out] * 7))
    for batch in batches(20):
        step(twin, batch.x, batch.y)
    ours = trained(name, settings, batches(20), held_out=held_out)
    torch.testing.assert_close(ours, twin.w, rtol=1e-8, atol=1e-10)


def test_adamw_is_torchs(small_net, batches, trained):
    net = small_net()
    base = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=DECAY)
    for batch in batches(20):
        base.zero_grad()
        F.cross_entropy(net(batch.x), batch.y).backward()
        base.step()
    expected = torch.cat([p.detach().flatten() for p in net.parameters()])
    torch.testing.assert_close(trained("adamw", {}, batches(20)), expected, rtol=1e-10, atol=1e-12)
