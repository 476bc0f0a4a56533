// The scale dial: what the scale of the weights does, layer by layer.

const LAYER = { label: "hidden layer" };

/** The decades that hold all values on a logarithmic axis. */
function decades(values) {
  const there = values.filter((value) => value > 0).map((value) => Math.log10(value));
  const low = Math.max(-16, Math.floor(Math.min(...there)));
  return [10 ** low, 10 ** Math.max(low + 1, Math.ceil(Math.max(...there)))];
}

/** What the axes must hold: all scales of the weights, for one activation and depth. */
function bounds(ui, activation, depth) {
  const cases = Object.entries(ui.data.cases).filter(([name]) => name.startsWith(activation + " "));
  const of = (...series) =>
    cases.flatMap(([, one]) => series.flatMap((name) => pick(one, name).low.slice(0, depth)
      .concat(pick(one, name).high.slice(0, depth))));
  return {
    spread: decades(of("pooled", "across")),
    gradient: decades(of(`gradient ${depth} rms`, `gradient ${depth} median`)),
  };
}

function pick(one, name) {
  if (!name.startsWith("gradient")) return one[name];
  const cut = name.lastIndexOf(" ");
  return one[name.slice(0, cut)][name.slice(cut + 1)];
}

/** A measured series and its prediction, for the first layers. */
function first(series, layers) {
  const part = (name) => series[name]?.slice(0, layers.length);
  const measured = { x: layers, y: part("mid"), low: part("low"), high: part("high") };
  return [measured, series.theory && { x: layers, y: part("theory") }];
}

function build(ui) {
  const pair = (key, label, colour) => [
    { key: `${key} theory`, kind: "line", colour, dash: colour ? "7 3" : "" },
    { key, label, kind: "points", colour },
  ];
  ui.spread = ui.chart({
    title: "Spread of the activations",
    x: LAYER,
    y: { label: "standard deviation", log: true, domain: [0.1, 1] },
    series: [...pair("pooled", "pooled", 0), ...pair("across", "across inputs", 1)],
  });
  ui.saturated = ui.chart({
    title: "Saturated share of the activations",
    x: LAYER,
    y: { label: "fraction", domain: [0, 1] },
    series: pair("saturated", "saturated", 2),
  });
  ui.gradient = ui.chart({
    title: "Gradient with respect to z",
    x: LAYER,
    y: { label: "gradient", log: true, domain: [0.1, 1] },
    series: [...pair("rms", "RMS", 0), ...pair("median", "median", 1)],
  });
}

function update(ui, read) {
  const [activation, sd, depth] = [read("activation"), read("sd"), read("depth")];
  const one = ui.data.cases[`${activation} ${sd}`];
  const layers = Array.from({ length: depth }, (_, i) => i + 1);
  const x = { domain: [0.5, depth + 0.5], ticks: layers.filter((n) => depth < 11 || n % 5 === 0) };
  const name = `${activation} ${depth}`;
  if (ui.for !== name) {
    ui.for = name;
    const { spread, gradient } = bounds(ui, activation, depth);
    ui.spread.axes({ x, y: { domain: spread } });
    ui.saturated.axes({ x });
    ui.gradient.axes({ x, y: { domain: gradient } });
  }
  const gradient = one[`gradient ${depth}`];
  const [pooled, pooledTheory] = first(one.pooled, layers);
  const [across, acrossTheory] = first(one.across, layers);
  const [rms, rmsTheory] = first(gradient.rms, layers);
  const [median] = first(gradient.median, layers);
  ui.spread.draw({ pooled, "pooled theory": pooledTheory, across, "across theory": acrossTheory });
  ui.gradient.draw({ rms, "rms theory": rmsTheory, median });
  const columns = {
    "pooled spread": pooled.y,
    "pooled spread, theory": pooledTheory.y,
    "spread across inputs": across.y,
    "spread across inputs, theory": acrossTheory.y,
  };
  let share = "";
  ui.saturated.title("Saturated share of the activations");
  if (one.saturated) {
    const [saturated, theory] = first(one.saturated, layers);
    ui.saturated.draw({ saturated, "saturated theory": theory });
    Object.assign(columns, { saturated: saturated.y, "saturated, theory": theory.y });
    share = ` In the last layer ${Math.round(100 * saturated.y.at(-1))}% are saturated.`;
  } else {
    ui.saturated.draw({});
    ui.saturated.title("A ReLU has no end to saturate at");
  }
  Object.assign(columns, {
    "RMS gradient": rms.y,
    "RMS gradient, theory": rmsTheory.y,
    "median gradient": median.y,
  });
  const called = { tanh: "tanh", sigmoid: "sigmoid", relu: "ReLU" }[activation];
  const last = (values) => number(values.at(-1), 2);
  const says =
    `${called}, standard deviation ${number(sd)}: from layer 1 to layer ${depth} the pooled spread ` +
    `goes from ${number(pooled.y[0], 2)} to ${last(pooled.y)}, the spread across inputs from ` +
    `${number(across.y[0], 2)} to ${last(across.y)}; the RMS gradient in layer 1 is ` +
    `${number(rms.y[0], 2)}, the median ${number(median.y[0], 2)}.${share}`;
  const head = ["layer", ...Object.keys(columns)];
  const rows = layers.map((layer, i) => [layer, ...Object.values(columns).map((c) => c[i])]);
  return { says, head, rows };
}

const note =
  "Markers: the median of 20 nets, with a band from 5% to 95%. Lines: theory; that of the RMS gradient " +
  "starts from its value at the output.";

export default explorer({ build, update, note });
