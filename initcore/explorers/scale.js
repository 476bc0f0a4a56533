// The scale dial: what the scale of the weights does, layer by layer.

const x = { label: "hidden layer" };
// the axes hold all scales of the weights
const y = (label, holds) => ({ label, log: true, holds, over: "sd", floor: 1e-16 });
const series = (key, label, colour) => pair(key, { label, colour, dash: colour ? "7 3" : "" });
const [SPREADS, GRADIENTS] = [["pooled spread", "spread across inputs"], ["RMS gradient", "median gradient"]];

const charts = [
  {
    title: "Spread of the activations",
    x,
    y: y("standard deviation", SPREADS),
    series: [...series(SPREADS[0], "pooled", 0), ...series(SPREADS[1], "across inputs", 1)],
  },
  {
    title: "Saturated share of the activations",
    none: "A ReLU has no end to saturate at",
    x,
    y: { label: "fraction", domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    series: series("saturated", "saturated", 2),
  },
  {
    title: "Gradient with respect to z",
    x,
    y: y("gradient", GRADIENTS),
    series: [...series(GRADIENTS[0], "RMS", 0), { key: GRADIENTS[1], label: "median", colour: 1 }],
  },
];

function update(ui, read, one) {
  const depth = read("depth");
  const { pooled, across, saturated } = one;
  const { rms, median } = one[`gradient ${depth}`];
  const first = ({ mid }) => number(mid[0], 2);
  const last = ({ mid }) => number(mid[depth - 1], 2);
  const share = saturated?.mid[depth - 1];
  const ends = saturated ? ` In the last layer ${Math.round(100 * share)}% are saturated.` : "";
  return (
    `${ui.text("activation")}, standard deviation ${number(read("sd"))}: from layer 1 to layer ${depth} ` +
    `the pooled spread goes from ${first(pooled)} to ${last(pooled)}, the spread across inputs from ` +
    `${first(across)} to ${last(across)}; the RMS gradient in layer 1 is ${first(rms)}, the median ` +
    `${first(median)}.${ends}`
  );
}

const note =
  "Markers: the median of 20 nets, with a band from 5% to 95%. Lines: theory; that of the RMS gradient " +
  "starts from its value at the output.";

export default explorer({ charts, update, note });
