"""The Krylov subspace of Lanczos: a basis V that grows by one product with H, or is thinned out.

At every moment H V = V C + v cᵀ, and what `renew` gave up, with V (n, m) orthonormal, C = VᵀHV
(m, m), v (n,) the next basis vector and c (m,) its coupling. C is kept whole rather than as a
tridiagonal: the numbers come free with the full reorthogonalisation, a thick restart (Wu & Simon
2000) then needs no special case, and C − Cᵀ, zero in exact arithmetic, measures the rounding of the
products.
"""

from collections.abc import Callable
from math import isfinite

import torch
from torch import Tensor

from landscape.linalg.space import Space

MatVec = Callable[[Tensor], Tensor]

SLAB = 1 << 16  # columns turned at once in float64: 64 MiB for a basis of 128
ROUNDING = 10  # in eps·‖H‖: what a product of a dense matrix and the two passes leave behind


class Subspace:
    """Basis and projection of a symmetric H, given as `matvec` (n,) → (n,).

    capacity: the most basis vectors, at most n; memory is (capacity + 1)·n numbers of `dtype`.
    start: (n,) the first direction; default random. Fresh random vectors come from `seed`, drawn on
        the CPU.
    space: of the vectors, where this process holds a shard of each: then n is `space.n`, and (n,)
        of vectors, here and below, is the length of the shard.
    """

    def __init__(
        self,
        matvec: MatVec,
        n: int,
        capacity: int,
        *,
        seed: int = 0,
        start: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        space: Space | None = None,
    ):
        self.matvec, self.n, self.capacity = matvec, n, min(capacity, n)
        self.space = Space.whole(n) if space is None else space
        self.size = self.matvecs = 0
        self.norm = 0.0  # largest ‖H v‖ over unit v so far: a lower bound of ‖H‖₂
        self.floor = 0.0  # error already in C: couplings cut as rounding, or kept over a restart
        self._generator = self.space.generator(seed)
        shape = self.capacity + 1, self.space.local
        self._rows = torch.empty(shape, dtype=dtype, device=device)  # basis, then v
        self._projected = torch.zeros(self.capacity + 1, self.capacity + 1, dtype=torch.float64)
        self._lost = self._projected[:0]  # couplings to earlier next vectors, a row each
        self._joint = 0  # the vector that the kept ones of a restart are all coupled with
        self._skew = 0.0  # the largest asymmetry that restarts took out of C
        first = self._random() if start is None else start.to(self._rows)
        split = self.space.is_split
        self._rows[0] = first / (self._length(first) if split else torch.linalg.vector_norm(first))

    @property
    def basis(self) -> Tensor:
        """(m, n), orthonormal rows."""
        return self._rows[: self.size]

    @property
    def following(self) -> Tensor:
        """The next basis vector v, (n,)."""
        return self._rows[self.size]

    @property
    def projected(self) -> Tensor:
        """C = VᵀHV as computed, (m, m) float64: symmetric but for rounding."""
        return self._projected[: self.size, : self.size]

    @property
    def coupling(self) -> Tensor:
        """c with H V = V C + v cᵀ, (m,) float64; zero once the subspace is invariant."""
        return self._projected[self.size, : self.size]

    @property
    def full(self) -> bool:
        """No room for another vector without a restart."""
        return self.size == self.capacity

    @property
    def noise(self) -> float:
        """Rounding error of a product: 10·eps·‖H‖."""
        return ROUNDING * torch.finfo(self._rows.dtype).eps * self.norm

    @property
    def asymmetry(self) -> float:
        """The largest ‖C − Cᵀ‖/‖C‖, Frobenius, of C now and before each restart: rounding where the
        products are those of a symmetric matrix. Of a C smaller than a product, a part of that.
        """
        skew = float(torch.linalg.matrix_norm(self.projected - self.projected.T))
        size = max(float(torch.linalg.matrix_norm(self.projected)), self.norm)
        return max(self._skew, skew / (size or 1.0))

    def expand(self) -> None:
        """Take the next vector in, with one product; what of it sticks out becomes the next vector.

        Nothing sticks out of an invariant subspace: then a fresh random vector is next, with
        coupling 0.
        """
        m = self.size
        product = self._multiply(self._rows[m])
        self.size = m + 1
        rest, self._projected[: m + 1, m] = self._orthogonalise(product, self._local)
        if len(self._lost):  # what an earlier next vector shares with this one is known from here
            kept = slice(self._joint)
            self._projected[m, kept] = self._projected[kept, m]
        beta = self._length(rest)
        if self.size == self.n or beta <= self.noise:
            self.floor = max(self.floor, beta)
            beta = 0.0
            rest = self._fresh() if self.size < self.n else product
        self._projected[self.size, m] = beta
        self._rows[self.size] = rest / (self._length(rest) or 1.0)

    def combine(self, weights: Tensor) -> Tensor:
        """Rows Σ_j weights[j, i]·v_j, (k, n), for weights (m, k); float64, in slabs of columns."""
        combined = self._rows.new_empty(weights.shape[1], self.space.local)
        self._combine(weights, combined)
        return combined

    def product(self, weights: Tensor) -> Tensor | None:
        """H V W = V C W + v cᵀW (n, q) float64 for weights W (m, q), without a product; None where
        `renew` gave a part up.
        """
        if len(self._lost):
            return None
        whole = self._projected[: self.size + 1, : self.size] @ weights
        rows, turn = self._rows[: self.size + 1], whole.T.to(self._rows.device)
        slabs = rows.split(SLAB, dim=1)
        return torch.cat([turn @ slab.double() for slab in slabs], dim=1).T

    def _combine(self, weights: Tensor, combined: Tensor) -> None:
        turn = weights.T.to(self._rows.device)
        for first in range(0, self.space.local, SLAB):
            slab = slice(first, first + SLAB)
            combined[:, slab] = turn @ self.basis[:, slab].double()

    def restart(
        self, values: Tensor, weights: Tensor, error: float, vectors: Tensor | None = None
    ) -> None:
        """Keep the Ritz pairs values (p,), weights (m, p), and the next vector, which fits them.

        error: how wrong the products have been found to be, which C can no longer tell afterwards.
        vectors: (p, n), their rows, where they are known.
        """
        coupling, p = self.coupling @ weights, len(values)
        self.floor, self._skew = max(self.floor, error), self.asymmetry
        following = self._rows[self.size].clone()
        if vectors is None:
            self._combine(weights, self._rows[:p])  # in place: a slab is read before it is written
        else:
            self._rows[:p] = vectors
        self._rows[p] = following
        lost = self._lost[:, : self.size] @ weights
        self._lost.zero_()
        self._lost[:, :p] = lost
        self._projected.zero_()
        self._projected[:p, :p] = torch.diag(values)
        self._projected[p, :p] = coupling
        self.size = self._joint = p

    def renew(
        self, values: Tensor, weights: Tensor, error: float, vectors: Tensor | None = None
    ) -> None:
        """Restart with Ritz pairs, but go on from a random vector: eigenvalues that the vectors so
        far held nothing of can come up, as further copies of a multiple one, of which Krylov has
        one. The couplings to the vector that is given up stay known, for `residuals`.

        vectors: as for `restart`.
        """
        lost = self.coupling @ weights
        self.restart(values, weights, error, vectors)
        self._lost = torch.cat([self._lost, torch.zeros_like(self._projected[:1])])
        self._lost[-1, : self.size] = lost
        self._projected[self.size, : self.size] = 0.0
        self._rows[self.size] = self._fresh()

    def residuals(self, weights: Tensor) -> Tensor:
        """‖H x − V C y‖ for x = V y, columns y of weights (m, k): what sticks out, (k,); at most,
        because directions that `renew` gave up may overlap with the next vector.
        """
        lost = self._lost[:, : self.size] @ weights
        return (self.coupling @ weights).abs() + lost.abs().sum(dim=0)

    def _multiply(self, v: Tensor) -> Tensor:
        product = self.matvec(v).detach()
        self.matvecs += 1
        if product.shape != v.shape:
            raise ValueError(
                f"`matvec` must map shape {tuple(v.shape)} to itself. Got {tuple(product.shape)}."
            )
        length = self._length(product)
        if not isfinite(length):
            raise ValueError(
                "`matvec` must return finite numbers. "
                f"Got NaN or infinity in product {self.matvecs}: "
                "check that the loss and its gradient are finite at this point, or use float64."
            )
        self.norm = max(self.norm, length)
        return product.to(v)

    @property
    def _local(self) -> bool:
        """The newest vector is coupled with the one before it alone."""
        return self.size - 1 > self._joint and not len(self._lost)

    def _orthogonalise(self, w: Tensor, local: bool = False) -> tuple[Tensor, Tensor]:
        """Classical Gram-Schmidt against the basis, twice: the rest of w (n,), the parts (m,).

        local: w is the product of the newest vector and sticks out of the last two alone, but for
        rounding: taking these away, as Lanczos (1950) does, stands for the first pass.
        """
        parts = torch.zeros(self.size, dtype=torch.float64)
        first = self.size - 2 if local else 0
        for start in (first, 0):
            rows = self.basis[start:]
            part = self.space.reduce(rows @ w)
            w = torch.addmv(w, rows.T, part, alpha=-1)
            parts[start:] += part.to(parts)
        return w, parts

    def _fresh(self) -> Tensor:
        """A random unit vector (n,) that sticks out of the basis.

        Of a draw that lies in the basis only rounding is left; that is scaled up and taken out of
        the basis again, so that what stays is orthogonal, whatever was drawn.
        """
        fresh = self._random()
        for _ in range(2):
            rest = self._orthogonalise(fresh)[0]
            while not (length := self._length(rest)):
                rest = self._orthogonalise(self._random())[0]
            fresh = rest / length
        return fresh

    def _random(self) -> Tensor:
        draw = torch.randn(self.space.local, generator=self._generator, dtype=torch.float32)
        return draw.to(self._rows)

    def _length(self, v: Tensor) -> float:
        """‖v‖, in float64."""
        return self.space.norm(v) if self.space.is_split else _length(v)


def _length(v: Tensor) -> float:
    """‖v‖ in float64. On the CPU torch casts a copy: of one slab at a time."""
    slabs = v.split(SLAB) if v.device.type == "cpu" else (v,)
    norms = [torch.linalg.vector_norm(slab, dtype=torch.float64) for slab in slabs]
    return float(torch.linalg.vector_norm(torch.stack(norms)) if len(norms) > 1 else norms[0])
