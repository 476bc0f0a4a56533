// The scale dial: what the scale of the weights does, layer by layer.

const LAYER = { label: "hidden layer" };
const SATURATED = "Saturated share of the activations";

/** What the axes must hold: all scales of the weights, for one activation and depth. */
function bounds(ui, activation, depth) {
  const cases = Object.entries(ui.data.cases).filter(([name]) => name.startsWith(activation + " "));
  const holding = (pick) => {
    const series = cases.flatMap(([, one]) => pick(one));
    const first = ({ low, high }) => [...low.slice(0, depth), ...high.slice(0, depth)];
    const [low, high] = decades(series.flatMap(first));
    return [Math.max(low, 1e-16), high];
  };
  return {
    spread: holding(({ pooled, across }) => [pooled, across]),
    gradient: holding((one) => Object.values(one[`gradient ${depth}`])),
  };
}

function build(ui) {
  const series = (key, label, colour) => pair(key, { label, colour, dash: colour ? "7 3" : "" });
  ui.spread = ui.chart({
    title: "Spread of the activations",
    x: LAYER,
    y: { label: "standard deviation", log: true, domain: [0.1, 1] },
    series: [...series("pooled spread", "pooled", 0), ...series("spread across inputs", "across inputs", 1)],
  });
  ui.saturated = ui.chart({
    title: SATURATED,
    x: LAYER,
    y: { label: "fraction", domain: [0, 1] },
    series: series("saturated", "saturated", 2),
  });
  ui.gradient = ui.chart({
    title: "Gradient with respect to z",
    x: LAYER,
    y: { label: "gradient", log: true, domain: [0.1, 1] },
    series: [
      ...series("RMS gradient", "RMS", 0),
      { key: "median gradient", label: "median", kind: "points", colour: 1 },
    ],
  });
}

function update(ui, read, one) {
  const [activation, depth] = [read("activation"), read("depth")];
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
  const { pooled, across, saturated } = one;
  const { rms, median } = one[`gradient ${depth}`];
  ui.spread.draw({
    ...both("pooled spread", layers, pooled),
    ...both("spread across inputs", layers, across),
  });
  ui.saturated.draw(saturated ? both("saturated", layers, saturated) : {});
  ui.saturated.title(saturated ? SATURATED : "A ReLU has no end to saturate at");
  ui.gradient.draw({
    ...both("RMS gradient", layers, rms),
    "median gradient": measured(layers, median),
  });
  const first = ({ mid }) => number(mid[0], 2);
  const last = ({ mid }) => number(mid[depth - 1], 2);
  const share = saturated?.mid[depth - 1];
  const ends = saturated ? ` In the last layer ${Math.round(100 * share)}% are saturated.` : "";
  const says =
    `${ui.text("activation")}, standard deviation ${number(read("sd"))}: from layer 1 to layer ${depth} ` +
    `the pooled spread goes from ${first(pooled)} to ${last(pooled)}, the spread across inputs from ` +
    `${first(across)} to ${last(across)}; the RMS gradient in layer 1 is ${first(rms)}, the median ` +
    `${first(median)}.${ends}`;
  return { says };
}

const note =
  "Markers: the median of 20 nets, with a band from 5% to 95%. Lines: theory; that of the RMS gradient " +
  "starts from its value at the output.";

export default explorer({ build, update, note });
