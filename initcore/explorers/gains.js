// Any activation, five starts: the rms of z and of the deltas over fifty layers.

const BECAUSE = {
  lecun: "This gain keeps q for a linear net.",
  he: "This gain keeps q and the deltas for ReLU.",
  forward: "This gain sends q = 1 to q = 1.",
  backward: "This gain keeps the deltas where q = 1.",
  both: "The gain is chosen for the deltas, and the biases add to q what is then missing.",
};
const PARTS = { z: "rms z", delta: "rms delta" };

/** The decades that hold all values, and 0.1 to 10 at least. */
function decades(values) {
  const powers = values.map(Math.log10);
  return [10 ** Math.min(-1, Math.floor(Math.min(...powers))), 10 ** Math.max(1, Math.ceil(Math.max(...powers)))];
}

function build(ui) {
  const chart = (part, title, label, colour) =>
    ui.chart({
      title,
      x: { label: "layer", domain: [-1, 52], ticks: [1, 10, 20, 30, 40, 50] },
      y: { label, log: true, domain: [0.1, 10] },
      level: 1,
      series: [
        { key: `${part} theory`, label: "theory", kind: "line", colour },
        { key: part, label: "20 nets", kind: "points", colour },
      ],
    });
  ui.parts = {
    z: chart("z", "The signal on its way up", "rms of z", 0),
    delta: chart("delta", "The deltas on their way down", "rms of δ, over layer 50's", 1),
  };
}

function update(ui, read) {
  const start = read("start");
  const one = ui.data.cases[`${read("activation")} ${start}`];
  const { layers, shown } = ui.data.shared;
  for (const [part, chart] of Object.entries(ui.parts)) {
    const { low, mid, high, theory } = one[part];
    chart.axes({ y: { domain: decades([...low, ...high, ...theory]) } });
    chart.draw({ [`${part} theory`]: { x: layers, y: theory }, [part]: { x: layers, y: mid, low, high } });
  }
  const biases = one.sigma_b ? `, biases of sd ${number(one.sigma_b)}` : "";
  const [z, delta] = [one.z.mid, one.delta.mid];
  const says =
    `${shown[read("activation")]}, gain ${number(one.gain, 4)}${biases}: the rms of z goes from ` +
    `${number(z[0], 2)} in layer 1 to ${number(z.at(-1), 2)} in layer 50, and the deltas of layer 1 are ` +
    `${number(delta[0], 2)} times those of layer 50. ${BECAUSE[start]}`;
  const columns = Object.entries(PARTS).flatMap(([part, name]) => [
    [name, one[part].mid],
    [`${name}, 5%`, one[part].low],
    [`${name}, 95%`, one[part].high],
    [`${name}, theory`, one[part].theory],
  ]);
  const head = ["layer", ...columns.map(([name]) => name)];
  const rows = layers.map((layer, i) => [layer, ...columns.map(([, values]) => values[i])]);
  return { says, head, rows };
}

const note =
  "Markers: the median of 20 nets of 50 layers of 100 units before training, with a band from 5% to 95%. " +
  "Lines: the theory of wide layers. Dotted: 1. The axes follow the values.";

export default explorer({ build, update, note });
