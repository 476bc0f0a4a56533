// The plane of weights and biases: q and 1 - c over fifty layers, and the phase of the point.

const chart = (key, title, label, colour, least) => ({
  title,
  x: { label: "layer", domain: [-1, 52], ticks: [1, 10, 20, 30, 40, 50] },
  y: { label, log: true, least },
  series: pair(key, { theory: "theory", label: "20 nets", colour }),
});
const charts = [
  chart("q", "The signal: mean square of z", "q", 0, [-1, 1]),
  chart("1 - c", "How far apart two inputs are", "1 − c (0: the same answer)", 1, [-2, 0]),
];

const PHASES = {
  dies: "The signal dies out, whatever becomes of the angle between the inputs.",
  grows: "The signal grows without bound, whatever becomes of the angle between the inputs.",
  order: "Order: χ is below 1, so the net makes its inputs alike, and gradients vanish.",
  chaos: "Chaos: χ is above 1, so the net tears like inputs apart, and gradients explode.",
  border: "The border of order and chaos: χ is 1, and the inputs come together, but more slowly than any exponential.",
};

/** Which of them a point is in, from the limits of q and χ. */
function phaseOf({ settled, chi }) {
  if (!settled) return settled === null ? "grows" : "dies";
  if (Math.abs(chi - 1) < 0.001) return "border";
  return chi < 1 ? "order" : "chaos";
}

function update(ui, read, one) {
  const place = `σ_w² = ${ui.text("sigma_w2")}, σ_b² = ${ui.text("sigma_b2")}`;
  const limit = one.settled ? ` q tends to ${number(one.settled)}, where χ = ${number(one.chi, 4)}.` : "";
  return (
    `${ui.text("activation")}, ${place}.${limit} ${PHASES[phaseOf(one)]} From layer 1 to 50 the measured ` +
    `1 − c goes from ${number(one.apart.mid[0], 2)} to ${number(one.apart.mid.at(-1), 2)}.`
  );
}

const note =
  "Markers: the median of 20 nets of 50 layers of 100 units before training, with a band from 5% to 95%. " +
  "Lines: the theory of wide layers. c is the cosine between the pre-activations of two inputs, which " +
  "themselves have a cosine of 0.6; below 1e−30 it is rounding. The axes follow the values.";

export default explorer({ charts, update, note, room: [5.2, 10] });
