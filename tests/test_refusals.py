"""What a refusal says: the argument, and the value that was received."""

import numpy as np
import pytest

from initcore import (
    datasets,
    experiments,
    initializers,
    network,
    plots,
    pretraining,
    probes,
    tables,
    theory,
)

NET = network.MLP((2, 3, 2))
TRACE = NET.forward(np.ones((4, 2)))
DIGITS = datasets.Dataset(np.ones((2, 1)), np.zeros(2, int))
LARGE = initializers.TruncatedNormal(stddev=1.5e308)
ONE, TWO = np.ones(3), np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: datasets.split(DIGITS), ValueError, "data=array of shape"),
        (
            lambda: experiments.propagate({}, depth=2, width=2),
            ValueError,
            "at least one case. Received: cases={}",
        ),
        (lambda: initializers.deserialize({"config": {}}), ValueError, "config={'config': {}}"),
        (lambda: initializers.deserialize(3), TypeError, "config=3"),
        (lambda: NET.backward(TRACE, TWO), ValueError, r"output_gradient=.*\(2, 3\)"),
        (lambda: plots.images([TWO], title="x"), ValueError, r"rows=.*\(1, 2, 3\)"),
        (lambda: pretraining.energy(TWO, TWO, ONE, ONE, ONE), ValueError, r"W=.*\(3,\)"),
        (lambda: probes.dead_fraction(ONE), ValueError, r"a=.*\(3,\)"),
        (lambda: LARGE((99,), "float64"), ValueError, "dtype=.float64"),
        (
            lambda: tables.decide("A1", "true", "x", {"c": (1, "<")}),
            ValueError,
            r"must be \(value, relation, .*checks\['c'\]=.1, '<'",
        ),
        (lambda: theory.critical_line("softplus", 0.5), ValueError, "sigma_b2=.*0.5"),
    ],
)
def test_a_refusal_names_the_argument_and_shows_the_value(call, error, said):
    with pytest.raises(error, match=said):
        call()
