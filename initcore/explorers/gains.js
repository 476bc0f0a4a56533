// Any activation, five starts: the rms of z and of the deltas over fifty layers.

const BECAUSE = {
  lecun: "This gain keeps q for a linear net.",
  he: "This gain keeps q and the deltas for ReLU.",
  forward: "This gain sends q = 1 to q = 1.",
  backward: "This gain keeps the deltas where q = 1.",
  both: "The gain is chosen for the deltas, and the biases add to q what is then missing.",
};

const chart = (key, title, label, colour) => ({
  title,
  x: { label: "layer", domain: [-1, 52], ticks: [1, 10, 20, 30, 40, 50] },
  y: { label, log: true, least: [-1, 1] },
  level: 1,
  series: pair(key, { theory: "theory", label: "20 nets", colour }),
});
const charts = [
  chart("rms z", "The signal on its way up", "rms of z", 0),
  chart("rms delta", "The deltas on their way down", "rms of δ, over layer 50's", 1),
];

function update(ui, read, one) {
  const biases = one.sigma_b ? `, biases of sd ${number(one.sigma_b)}` : "";
  const [z, delta] = [one.z.mid, one.delta.mid];
  return (
    `${ui.text("activation")}, gain ${number(one.gain, 4)}${biases}: the rms of z goes from ` +
    `${number(z[0], 2)} in layer 1 to ${number(z.at(-1), 2)} in layer 50, and the deltas of layer 1 are ` +
    `${number(delta[0], 2)} times those of layer 50. ${BECAUSE[read("start")]}`
  );
}

const note =
  "Markers: the median of 20 nets of 50 layers of 100 units before training, with a band from 5% to 95%. " +
  "Lines: the theory of wide layers. Dotted: 1. The axes follow the values.";

export default explorer({ charts, update, note, room: [5.2, 10] });
