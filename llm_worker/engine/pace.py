"""PURE: how long a step takes, learned while it works; how much of it may be prefill, and when one more is too many."""

import numpy as np
import numpy.typing as npt

_FORGET = 0.98
_RIDGE = np.array([1e-3, 1e-2, 1e-2])
"""Where all steps were alike nothing tells what one more costs: a tenth of a step, by these."""


class StepTime:
    """Seconds of a step ≈ a + b · answers under way + c · tokens of prompts, recent steps counting most."""

    def __init__(self) -> None:
        self._products = np.zeros((3, 3))
        self._values = np.zeros(3)
        self._fit: npt.NDArray[np.float64] | None = None

    def observe(self, answers: int, tokens: int, seconds: float) -> None:
        """A step is over."""
        row = np.array([1.0, answers, tokens])
        self._products = self._products * _FORGET + np.outer(row, row)
        self._values = self._values * _FORGET + row * seconds
        self._fit = None

    def predicted(self, answers: int, tokens: int) -> float:
        """Seconds; 0 while nothing is known."""
        return float(self._coefficients() @ np.array([1.0, answers, tokens]))

    def tokens_within(self, answers: int, seconds: float) -> int:
        """Most tokens of prompts beside so many answers that keep a step within `seconds`: 0 when answers
        alone exceed it, very many while nothing is known."""
        left = seconds - self.predicted(answers, 0)
        each = float(self._coefficients()[2])
        if left <= 0:
            return 0
        return round(left / each) if each > 0 else 1 << 30

    def _coefficients(self) -> npt.NDArray[np.float64]:
        """Of the fit, made when it is asked for: most steps ask for none. None of them is negative."""
        if self._fit is None:
            ridge = np.diag(_RIDGE * np.diag(self._products) + 1e-12)
            self._fit = np.maximum(np.linalg.solve(self._products + ridge, self._values), 0.0)
        return self._fit
