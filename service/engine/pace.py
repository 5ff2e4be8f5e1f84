"""How long a batch takes: one line fitted to the batches that ran lately."""


class Pace:
    """How long jobs that are alike take, as measured lately: seconds = start + tokens * each, by least squares.

    A batch's start is told apart from its tokens, for else small batches would look slow, and be kept small for it.
    """

    _KEPT = 0.95  # of what was measured before, at each measurement
    _FIRST_GUESS = ((1, 0.0005), (1000, 0.05))  # tokens, seconds

    def __init__(self) -> None:
        self._n = self._t = self._s = self._tt = self._ts = 0.0  # sums: 1, tokens, seconds, tokens^2, tokens * seconds
        for tokens, seconds in self._FIRST_GUESS:
            self.measured(tokens, seconds)

    def measured(self, tokens: int, seconds: float) -> None:
        terms = (1.0, tokens, seconds, tokens * tokens, tokens * seconds)
        sums = (self._n, self._t, self._s, self._tt, self._ts)
        self._n, self._t, self._s, self._tt, self._ts = (
            self._KEPT * old + new for old, new in zip(sums, terms, strict=True)
        )

    @property
    def _each(self) -> float:
        """Seconds a token; where batches were all of one size, or the fit falls, the start is taken for nothing."""
        spread = self._n * self._tt - self._t * self._t
        slope = (self._n * self._ts - self._t * self._s) / spread if spread > 1e-6 * self._n * self._tt else 0.0
        return min(slope, self._s / self._t) if slope > 0 else self._s / self._t

    def seconds(self, tokens: int) -> float:
        """Predicted for one batch."""
        return (self._s + self._each * (self._n * tokens - self._t)) / self._n

    def tokens_within(self, seconds: float) -> int:
        """How many tokens one batch may have that is predicted to take so long."""
        start = (self._s - self._each * self._t) / self._n
        return max(0, int((seconds - start) / max(self._each, 1e-12)))
