#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints tests/results/data/statistics_reference.json: what statistics_reference_test.cc holds
results/ against. Nothing here is a transcription of the C++: intervals come from statsmodels, and
where neither library has the method, its definition is solved by scipy's general optimizers.

  python3 -m venv venv && venv/bin/pip install scipy==1.17.1 statsmodels==0.15.0
  venv/bin/python tests/results/data/make_statistics_reference.py
"""

import json

import numpy
import scipy
import scipy.optimize
import statsmodels
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint


def wilson(k, n, confidence):
    return [float(x) for x in proportion_confint(k, n, 1 - confidence, method="wilson")]


def stratified(strata):
    """MOVER over statsmodels' Wilson intervals."""
    total = sum(w for _, _, w in strata)
    rate = sum(w / total * k / n for k, n, w in strata)
    bounds = [(w / total, k / n, *wilson(k, n, 0.95)) for k, n, w in strata]
    below = sum((w * (p - low)) ** 2 for w, p, low, _ in bounds) ** 0.5
    above = sum((w * (high - p)) ** 2 for w, p, _, high in bounds) ** 0.5
    return [rate, max(0, rate - below), min(1, rate + above)]


def log_likelihood(q, difference, a, b, rest):
    return (special.xlogy(a, max(0, q + difference)) + special.xlogy(b, max(0, q))
            + special.xlogy(rest, max(0, 1 - 2 * q - difference)))


def constrained(difference, a, b, n):
    """The likeliest P(b alone) given the difference, by a numeric search over its whole range."""
    low, high = max(0.0, -difference), (1 - difference) / 2
    found = scipy.optimize.minimize_scalar(
        lambda q: -log_likelihood(q, difference, a, b, n - a - b), bounds=(low, high),
        method="bounded", options={"xatol": 1e-14})
    candidates = [found.x, low, high]
    return max(candidates, key=lambda q: log_likelihood(q, difference, a, b, n - a - b))


def score_z(difference, a, b, n):
    """(estimate - hypothesis) / its standard error at the constrained maximum likelihood."""
    q = constrained(difference, a, b, n)
    p = q + difference
    variance = (p + q - difference ** 2) / n
    return ((a - b) / n - difference) / variance ** 0.5


def tango(a, b, n, confidence):
    z = stats.norm.ppf(0.5 + confidence / 2)
    estimate, edge = (a - b) / n, 1 - 1e-9
    low = scipy.optimize.brentq(lambda d: score_z(d, a, b, n) - z, -edge, estimate - 1e-9)
    high = scipy.optimize.brentq(lambda d: score_z(d, a, b, n) + z, estimate + 1e-9, edge)
    return [low, high]


def mcnemar_power(n, only_a, only_b, alpha):
    discordant = only_a + only_b
    power = 0
    for d in range(n + 1):
        wins = numpy.arange(d + 1)
        p = numpy.array([stats.binomtest(int(k), d).pvalue if d else 1 for k in wins])
        power += stats.binom.pmf(d, n, discordant) * stats.binom.pmf(
            wins, d, only_a / discordant)[p <= alpha * (1 + 1e-12)].sum()
    return float(power)


def inferiority_power(n, only_a, only_b, margin, alpha):
    z, power = stats.norm.ppf(1 - alpha), 0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            if score_z(-margin, a, b, n) > z:
                power += stats.multinomial.pmf([a, b, n - a - b], n,
                                               [only_a, only_b, 1 - only_a - only_b])
    return float(power)


def rate_sequence(k, n, alpha):
    """Where the beta mixture's odds against p reach 1 / alpha."""
    def excess(p):
        return (special.betaln(0.5 + k, 0.5 + n - k) - special.betaln(0.5, 0.5)
                - special.xlogy(k, p) - special.xlogy(n - k, 1 - p) + numpy.log(alpha))
    rate, tiny = k / n, 1e-15
    low = 0 if k == 0 else scipy.optimize.brentq(excess, tiny, rate)
    high = 1 if k == n else scipy.optimize.brentq(excess, rate, 1 - tiny)
    return [low, high]


def difference_sequence(a, b, n, alpha):
    alphas = numpy.full(3, 0.5)
    counts = numpy.array([a, b, n - a - b])

    def log_b(x):
        return special.gammaln(x).sum() - special.gammaln(x.sum())

    def excess(d):
        return (log_b(alphas + counts) - log_b(alphas) + numpy.log(alpha)
                - log_likelihood(constrained(d, a, b, n), d, a, b, n - a - b))
    estimate, edge = (a - b) / n, 1 - 1e-9
    return [scipy.optimize.brentq(excess, -edge, estimate),
            scipy.optimize.brentq(excess, estimate, edge)]


def stratified_bootstrap(strata):
    rng = numpy.random.default_rng(1)
    means = sum(numpy.array([rng.choice(s, len(s)).mean() for _ in range(20000)])
                for s in strata) / len(strata)
    return [float(numpy.mean([numpy.mean(s) for s in strata])),
            *(float(x) for x in numpy.quantile(means, [0.025, 0.975]))]


PAIRS = [(12, 3, 60), (0, 0, 40), (0, 7, 50), (30, 41, 200), (5, 5, 20), (1, 0, 3), (2, 6, 200)]
out = {
    "made_with": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
                  "numpy": numpy.__version__},
    "wilson": [{"k": k, "n": n, "confidence": c, "interval": wilson(k, n, c)}
               for k, n, c in [(0, 10, .95), (7, 10, .95), (190, 200, .95), (7, 10, .99),
                               (1, 3, .9)]],
    "mcnemar": [{"only_a": a, "only_b": b,
                 "p": float(mcnemar([[9, a], [b, 9]], exact=True).pvalue)}
                for a, b, _ in PAIRS if a + b > 0],
    "stratified": [{"strata": s, "interval": stratified(s)}
                   for s in [[[18, 20, 1], [5, 20, 1]], [[20, 20, 1], [0, 10, 3]],
                             [[190, 200, 1], [160, 200, 1], [150, 200, 1]]]],
    "stratified_bootstrap": [{"strata": s, "interval": stratified_bootstrap(s)}
                             for s in [[[1] * 8 + [0] * 22 + [-1] * 3, [0] * 15 + [1] * 5]]],
    "tango": [{"only_a": a, "only_b": b, "n": n, "confidence": c, "interval": tango(a, b, n, c),
               "z": [[d, score_z(d, a, b, n)] for d in (-0.1, -0.03, 0.05)]}
              for a, b, n in PAIRS for c in (0.95, 0.9)],
    "non_inferiority": [{"only_a": a, "only_b": b, "n": n, "margin": m,
                         "p": float(stats.norm.sf(score_z(-m, a, b, n)))}
                        for a, b, n in PAIRS for m in (0.03, 0.1)],
    "mcnemar_power": [{"n": n, "only_a": a, "only_b": b, "alpha": alpha,
                       "power": mcnemar_power(n, a, b, alpha)}
                      for n, a, b, alpha in [(60, .2, .05, .05), (200, .08, .03, .05),
                                             (30, .5, .1, .01), (5, .5, .5, .05)]],
    "non_inferiority_power": [{"n": n, "only_a": a, "only_b": b, "margin": m,
                               "power": inferiority_power(n, a, b, m, 0.025)}
                              for n, a, b, m in [(40, .03, .03, .1), (60, .05, .08, .1)]],
    "rate_sequence": [{"k": k, "n": n, "alpha": alpha, "interval": rate_sequence(k, n, alpha)}
                      for k, n, alpha in [(0, 10, .05), (7, 10, .05), (190, 200, .05),
                                          (200, 200, .01), (1000, 2000, .05)]],
    "difference_sequence": [{"only_a": a, "only_b": b, "n": n, "alpha": 0.05,
                             "interval": difference_sequence(a, b, n, 0.05)}
                            for a, b, n in PAIRS],
}


def lines(value):
    return "[\n" + ",\n".join("  " + json.dumps(case) for case in value) + "]"


print("{\n" + ",\n".join(f'"{key}": ' + (lines(value) if isinstance(value, list)
                                         else json.dumps(value))
                         for key, value in out.items()) + "\n}")
