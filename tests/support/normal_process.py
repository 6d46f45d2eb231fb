"""A normal process that is looked at before its end, by numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm


class NormalProcess:
    """The boundaries of a Brownian motion, by integrating its density from look to look."""

    GRID = 1_201

    def __init__(self) -> None:
        self.time = self.crossed = 0.0
        self.places = self.weights = np.zeros(0)

    def _tail(self, time: float) -> Callable[[float], float]:
        """The probability of a place or a higher one at a time, without an earlier crossing."""
        if not self.time:
            return lambda least: float(norm.sf(least / math.sqrt(time)))
        step = math.sqrt(time - self.time)
        return lambda least: float(np.sum(self.weights * norm.sf((least - self.places) / step)))

    def cross(self, time: float, spent: float) -> float:
        tail = self._tail(time)
        boundary = float(brentq(lambda least: self.crossed + tail(least) - spent, -5, 9))
        grid = np.linspace(-8, boundary, self.GRID)
        if self.time:
            step = math.sqrt(time - self.time)
            density = norm.pdf((grid[:, None] - self.places) / step) @ self.weights / step
        else:
            density = norm.pdf(grid, scale=math.sqrt(time))
        simpson = np.ones(self.GRID)
        simpson[1:-1:2], simpson[2:-1:2] = 4, 2
        self.weights = density * simpson * (grid[1] - grid[0]) / 3
        self.time, self.places, self.crossed = time, grid, spent
        return boundary

    def p_value(self, total: float) -> float:
        return self.crossed + self._tail(1.0)(total)
