"""The sign-flip test of many pairs, without a common unit of their gains."""

from __future__ import annotations

import random
import time

from _contender import arguments, report

from evalwire.model import sign_flip


def main() -> None:
    """Test gains with a p-value near 0.05, and gains that no random choice of signs reaches."""
    pairs = arguments()["pairs"]
    chance = random.Random(1)  # noqa: S311 - no secret
    noise = [chance.gauss(0, 1) for _ in range(pairs)]
    mean = sum(noise) / pairs
    seconds, p_values = [], []
    for deviations in (1.645, 4.5):
        gains = [gain - mean - deviations / pairs**0.5 for gain in noise]
        began = time.process_time()
        p_values.append(sign_flip(gains))
        seconds.append(time.process_time() - began)
    report("evalwire", seconds=max(seconds), is_near=0.04 < p_values[0] < 0.06 and 1e-6 < p_values[1] < 1e-5)  # noqa: PLR2004


main()
