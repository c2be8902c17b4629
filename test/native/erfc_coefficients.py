"""Makes the polynomial of kernels/pointwise_functions.h: python test/native/erfc_coefficients.py

erfc(z) = exp(-z^2) u P(2 u - 1), z >= 0, u = 1 / (1 + p z), is the form of Abramowitz and Stegun,
Handbook of Mathematical Functions, 7.1.26, with more terms. P is the Chebyshev series of
exp(z^2) erfc(z) / u, cut off where the sum of what follows, which bounds its error, is below 1e-10;
written as a polynomial.
"""

from __future__ import annotations

from collections.abc import Callable

from mpmath import chebyt, cos, erfc, exp, mp, mpf, pi, sqrt, taylor

P = mpf("0.3")
BOUND = mpf("1e-10")
NODES = 120


def scaled(t: mpf) -> mpf:
    """Return exp(z^2) erfc(z) / u at t = 2 u - 1; its limit at t = -1, where z is infinite."""
    u = (t + 1) / 2
    if u == 0:
        return P / sqrt(pi)
    z = (1 / u - 1) / P
    return exp(z * z) * erfc(z) / u


def chebyshev_series(function: Callable[[mpf], mpf], terms: int) -> list[mpf]:
    """Return the first coefficients of ``function`` on [-1, 1], by its values at NODES points."""
    angles = [pi * (k + mpf(1) / 2) / NODES for k in range(NODES)]
    values = [function(cos(angle)) for angle in angles]
    series = [
        2 * sum(value * cos(j * angle) for value, angle in zip(values, angles, strict=True)) / NODES
        for j in range(terms)
    ]
    return [series[0] / 2, *series[1:]]


def main() -> None:
    mp.dps = 50
    series = chebyshev_series(scaled, 60)
    terms = next(n for n in range(60) if sum(map(abs, series[n:])) < BOUND)
    polynomial = [mpf(0)] * terms
    for j, coefficient in enumerate(series[:terms]):
        for power, factor in enumerate(taylor(lambda t, j=j: chebyt(j, t), 0, j)):
            polynomial[power] += coefficient * factor
    print(f"p = {mp.nstr(P, 5)}, error of P below {mp.nstr(sum(map(abs, series[terms:])), 3)}")
    for coefficient in polynomial:
        print(f"    {mp.nstr(coefficient, 17)},")


if __name__ == "__main__":
    main()
