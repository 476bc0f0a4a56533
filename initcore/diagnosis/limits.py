"""The numbers that the bands and the criteria go by, each with its reason.

The limits of harm, with their sources, stand in ``findings.json``, beside each finding's words.
"""

SIGMAS = 3.0  # half-width of a band of ln q; beyond it by chance is one layer of 400
CHANCE = 0.9973  # the same, for the exact bands of linear and ReLU nets
SLACK = 1.5  # on an RMS: what the theory leaves out, such as the margins of convolutions
FLOOR = 1e-3  # further no start is expected to fade: GELU at 25 layers, sigmoids at 12
POOLED = 8.0  # change of the mean square by which layers may be linked: a maximum of 4 gives 3
ROOM, ROOM_FREE = 1.25, 9.0  # on gain², beyond sampling errors; and in nets that normalise
LAYER, LAYER_FREE = 4.0, 10.0  # a wrong rule's change of the spread (looks); any layer's
CONSTANT = 100.0  # mean² over variance of a feature: its direction is common to all inputs
BIASED = 2.0  # biases over the spread of the sums: a ReLU shifted so far is 2% on, or off
ENOUGH = 10  # inputs a class, for frequencies to mean something
UNBALANCED = 1 / 4  # share of ln C that the frequencies of the classes save
SMALL = 0.1  # γ of all normalisations, where none begins a branch as nothing
HUGE = 1e10  # no initializer draws it: memory that nothing was written to
STREAM = 3.0  # growth of a residual stream over √branches, which normalised ones give it
NOTHING = 1e-100  # a band below this belongs to a signal of 0, and says nothing
TINY, FAR = 1e-280, 300.0  # a mean square, and its logarithm, that nothing overflows with

# σ_w² that the summary recommends after an activation: least, best, highest.
RECOMMENDED = {
    "linear": (1.0, 1.0, 1.0),
    "tanh": (1.0, 1.0, 25 / 9),  # Glorot; PyTorch's 5/3
    "softsign": (1.0, 1.0, 25 / 9),
    "sigmoid": (1.0, 16.0, 16.0),
    "centred_sigmoid": (16.0, 16.0, 16.0),
    "selu": (9 / 16, 1.0, 1.0),  # PyTorch's 3/4
    "gelu": (2.0, 2.0, 2.353),  # He; the forward gain
    "silu": (2.0, 2.0, 2.812),
    "elu": (1.0, 1.55, 2.0),
}
GLOROT = ("linear", "tanh", "softsign", "sigmoid", "centred_sigmoid")  # by the average of fans
