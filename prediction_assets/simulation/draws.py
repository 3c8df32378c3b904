"""Random numbers that are the same on every machine.

NumPy promises the *bits* of PCG64 for ever, but not its distributions, and ``exp`` or ``log`` differ in the last bit
between processors. So this module uses those bits with ``+ - * /`` and comparisons only, which IEEE 754 defines
exactly. The rest of the simulation uses the same operations, and adds in a fixed order (:func:`total`), because
``numpy.sum`` may add in another order on another processor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


Shape = int | tuple[int, ...]

_SEED = 20_510_115
_POISSON_TRIALS = 128


class Draws:
    """One stream of random numbers; different paths give independent streams.

    Each part of the league draws from its own stream, so a change in one part leaves the others as they were.
    """

    def __init__(self, *path: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([_SEED, *path]))

    def _words(self, shape: Shape) -> npt.NDArray[np.uint64]:
        size = int(np.prod(shape))
        words: npt.NDArray[np.uint64] = self._bits.random_raw(size).reshape(shape)
        return words

    def uniform(self, shape: Shape) -> Floats:
        """Return uniform numbers in [0, 1), of 53 random bits each."""
        return (self._words(shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, shape: Shape) -> Floats:
        """Return numbers of mean 0 and variance 1, near normal within 4: the centred sum of 12 uniforms."""
        full = (shape,) if isinstance(shape, int) else shape
        sixteenths = np.zeros(full, dtype=np.int64)
        for words in self._words((3, *full)):
            for shift in (0, 16, 32, 48):
                sixteenths += ((words >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
        return (sixteenths - 6 * 0xFFFF).astype(np.float64) / 65536.0

    def below(self, limit: int, shape: Shape) -> Ints:
        """Return whole numbers from 0 to ``limit - 1``."""
        return (self.uniform(shape) * limit).astype(np.int64)

    def permutation(self, size: int) -> Ints:
        """Return the numbers from 0 to ``size - 1`` in random order."""
        return np.argsort(self._words(size), kind="stable").astype(np.int64)

    def spread_out(self, group: Ints) -> Floats:
        """Return uniform numbers that are spread evenly within each group: in a group of 4, one per quarter.

        Args:
            group: each element's group, from 0.
        """
        order = np.lexsort((self._words(group.size), group))
        size = np.bincount(group)
        start = np.cumsum(size) - size
        rank = np.empty(group.size, dtype=np.int64)
        rank[order] = np.arange(group.size) - start[group[order]]
        return (rank + self.uniform(group.size)) / size[group]

    def binomial(self, trials: Ints, chance: Floats, level: Floats | None = None) -> Ints:
        """Return successes in so many trials, by inversion of the distribution; element by element.

        Args:
            trials: number of trials, 0 or more, up to about 150.
            chance: chance of success of each; read as at least 0.001 and at most 0.98.
            level: the uniform numbers to invert; by default, new and independent ones.
        """
        p = np.clip(chance, 0.001, 0.98)
        q = 1.0 - p
        mass = np.ones(p.shape)
        power, left = q.copy(), trials.copy()
        while left.any():  # q ** trials by squaring: numpy's own power isn't exact everywhere
            mass = np.where(left & 1, mass * power, mass)
            power = power * power
            left >>= 1
        odds = p / q
        level = (self.uniform(p.shape) if level is None else level) - mass
        successes = np.zeros(p.shape, dtype=np.int64)
        for k in range(int(trials.max(initial=0))):
            more = (level >= 0.0) & (trials > k)
            if not more.any():
                break
            successes += more
            mass = mass * odds * (trials - k) / (k + 1.0)
            level = level - mass
        return successes

    def count(self, mean: Floats) -> Ints:
        """Return counts of rare events, near Poisson for a mean up to about 40."""
        return self.binomial(np.full(mean.shape, _POISSON_TRIALS, dtype=np.int64), mean / _POISSON_TRIALS)


def total(values: Floats) -> Floats:
    """Return the sum over the last axis, added from first to last."""
    result = np.zeros(values.shape[:-1])
    for position in range(values.shape[-1]):
        result = result + values[..., position]
    return result
