// The assumption breaker: the prediction of the variance derivation against nets that break it.

// The check boxes in their order, and what they are called in the sentence.
const CALLED = {
  dependent: "A1, weights that know their input",
  mean: "A2, the mean of the weights",
  pairs: "A2, equal pairs",
  unequal: "A3, unequal variances",
  biases: "A4, biases",
  relu: "A5, the ReLU",
  input_mean: "the mean of the inputs",
};
// A difference that counts: well outside the scatter of a median over 40 nets.
const FACTOR = 1.15;

const differs = (a, b) => Math.abs(Math.log(a / b)) > Math.log(FACTOR);

function build(ui) {
  ui.chart({
    title: "Mean square of the pre-activations",
    x: { label: "layer (0: the input)", margin: 0.3 },
    y: { label: "q / q₀", log: true, least: [-1, 1] },
    height: 270,
    series: [
      { key: "predicted", label: "predicted: (n Var(w))ˡ = 1", kind: "line", colour: 1, dash: "7 3" },
      { key: "q / q0", label: "measured", colour: 0 },
    ],
  });
}

/** What repairing one broken assumption at a time would change in the last layer. */
function repairs(ui, names, broken, q) {
  const [costly, harmless] = [[], []];
  names.forEach((name, place) => {
    if (!broken[place]) return;
    const repaired = broken.map((is, i) => is && i !== place);
    const mid = ui.data.cases[repaired.join(" ")].mid;
    // an effect may be in one layer only, so all are compared
    if (mid.some((value, layer) => differs(q[layer], value)))
      costly.push([CALLED[name], mid.at(-1)]);
    else harmless.push(CALLED[name]);
  });
  return [costly, harmless];
}

function update(ui, read, { mid }, table) {
  table.set("factor of the layer", mid.map((q, layer) => (layer ? q / mid[layer - 1] : 1)));
  const names = Object.keys(CALLED);
  const broken = names.map(read);
  const off = mid.findIndex((value) => differs(value, 1));
  if (!broken.includes(true))
    return `Nothing is broken, and q in layer 6 is ${number(mid.at(-1))} times its prediction.`;
  const [costly, harmless] = repairs(ui, names, broken, mid);
  const found = off < 0
    ? `The formula holds: q in layer 6 is ${number(mid.at(-1))} times its prediction.`
    : `The formula fails from layer ${off} on: q in layer 6 is ${number(mid.at(-1))} times its prediction.`;
  if (broken.filter(Boolean).length === 1) return found;
  const without = costly.map(([name, q]) => `without ${name}, ${number(q)}`);
  const repaired = without.length ? ` Repair one, and it is: ${without.join("; ")}.` : "";
  const idle = harmless.length ? ` Makes no difference here: ${harmless.join("; ")}.` : "";
  return found + repaired + idle;
}

const note =
  "Markers: the median of 40 nets of 100 units, with a band from 5% to 95%. Dashed: the derivation's " +
  "formula. The vertical axis changes with what is broken.";

export default explorer({ build, update, note, room: [6, 14] });
