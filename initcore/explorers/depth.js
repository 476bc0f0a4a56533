// Depth and gain: a map of test accuracies with the line of the theory over it.

const COLUMN = 42; // of the map, in units of its view box
const ROW = 30;
const LEFT = 44;

/** Where a number lies among `values`, counted in places: between two of them in proportion. */
function place(values, value) {
  const last = values.length - 2;
  const i = Math.max(0, Math.min(last, values.findIndex((one) => one >= value) - 1));
  return i + (value - values[i]) / (values[i + 1] - values[i]);
}

/** A text in the map. */
function words(text, attributes) {
  const made = shape("text", { "text-anchor": "middle", ...attributes });
  made.textContent = text;
  return made;
}

function makeMap(ui, depths, gains) {
  const [wide, high] = [COLUMN * depths.length, ROW * gains.length];
  const x = (depth) => LEFT + COLUMN * (place(depths, depth) + 0.5);
  const y = (gain) => high - ROW * (place(gains.map(Math.log), Math.log(gain)) + 0.5);
  const title = "Test accuracy in %, by depth and gain²";
  const box = element("figure", { class: "ie-chart ie-depth" });
  const svg = shape("svg", { viewBox: `0 0 ${LEFT + wide + 2} ${high + 38}`, role: "img" });
  svg.setAttribute("aria-label", `${title}. The sliders choose a place.`);
  const axes = shape("g", { class: "ie-axes" });
  for (const depth of depths) axes.append(words(depth, { x: x(depth), y: high + 15 }));
  for (const gain of gains) axes.append(words(gain, { x: LEFT - 15, y: y(gain) + 4 }));
  axes.append(words("hidden layers", { x: LEFT + wide / 2, y: high + 33 }));
  axes.append(words("gain²", { transform: `translate(10 ${high / 2}) rotate(-90)` }));
  const [cells, texts] = [shape("g", { class: "ie-depth-cells" }), shape("g")];
  for (const depth of depths)
    for (const gain of gains) {
      const accuracy = ui.data.cases[`${depth} ${gain}`].accuracy.mid;
      const [left, top] = [x(depth) - COLUMN / 2, y(gain) - ROW / 2];
      const cell = shape("rect", { x: left, y: top, width: COLUMN, height: ROW });
      cell.setAttribute("data-depth", depth);
      cell.setAttribute("data-gain", gain);
      cell.setAttribute("fill-opacity", 0.04 + 0.46 * accuracy);
      cell.addEventListener("click", () => {
        ui.model.set("depth", depth);
        ui.model.set("gain", gain);
        ui.model.save_changes();
      });
      cells.append(cell);
      texts.append(words(Math.round(100 * accuracy), { x: x(depth), y: y(gain) + 4 }));
    }
  const lines = shape("g", { class: "ie-depth-lines" });
  const draw = (kind, values) => {
    const inside = ui.data.shared.line.depth
      .map((depth, i) => [x(depth), y(values[i])])
      .filter(([, at]) => at >= 0 && at <= high);
    const d = `M${inside.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L")}`;
    lines.append(shape("path", { class: `ie-depth-${kind}`, d }));
  };
  draw("bound", ui.data.shared.line.lower);
  draw("bound", ui.data.shared.line.upper);
  draw("kept", ui.data.shared.line.depth.map(() => 2));
  const marker = shape("rect", { class: "ie-depth-mine", width: COLUMN, height: ROW });
  svg.append(cells, lines, texts, axes, marker);
  const sample = (kind) => shape("path", { class: `ie-depth-${kind}`, d: "M1 6H25" });
  const keys = element("span", { class: "ie-depth-lines" });
  keys.append(legend(sample("kept"), "RMS kept"), legend(sample("bound"), "RMS ×100, ÷100"));
  const named = element("span", { class: "ie-chart-title" }, title);
  box.append(element("figcaption", {}, named, keys), svg);
  ui.figure.append(box);
  return (depth, gain) => {
    marker.setAttribute("x", x(depth) - COLUMN / 2);
    marker.setAttribute("y", y(gain) - ROW / 2);
  };
}

function build(ui) {
  const values = Object.fromEntries(ui.model.get("controls").map((c) => [c.key, c.values]));
  ui.gains = values.gain;
  ui.move = makeMap(ui, values.depth, values.gain);
  ui.chart = ui.chart({
    title: "RMS of z in the last layer, by that of layer 1",
    x: { label: "gain²", log: true, domain: [0.42, 9.5], ticks: [0.5, 1, 2, 4, 8] },
    y: { label: "ratio", log: true, domain: [1e-9, 1e9] },
    level: 1,
    height: 300,
    series: [
      { key: "bound low", kind: "line", colour: 1, dash: "7 3" },
      { key: "bound high", kind: "line", colour: 1, dash: "7 3" },
      { key: "RMS ratio, theory", label: "theory", kind: "line", colour: 0 },
      { key: "RMS ratio", label: "200 nets", kind: "points", colour: 0 },
      { key: "mine", label: "your gain²", kind: "points", colour: "ink", mark: "diamond" },
    ],
  });
}

function update(ui, read, one) {
  const [depth, gain] = [read("depth"), read("gain")];
  const { bound, settings } = ui.data.shared;
  const column = ui.gains.map((one) => ui.data.cases[`${depth} ${one}`]);
  ui.move(depth, gain);
  const of = (end) => column.map(({ ratio }) => ratio[end]);
  const edges = [0.42, 9.5];
  ui.chart.draw({
    "bound low": { x: edges, y: [1 / bound, 1 / bound] },
    "bound high": { x: edges, y: [bound, bound] },
    "RMS ratio, theory": { x: ui.gains, y: of("theory") },
    "RMS ratio": { x: ui.gains, y: of("mid"), low: of("low"), high: of("high") },
    mine: { x: [gain], y: [one.ratio.mid] },
  });
  const { low, mid, high } = one.accuracy;
  const percent = (value) => Math.round(100 * value);
  const verdict = mid <= 0.3 ? "fails" : mid >= 0.8 ? "trains" : "trains in part";
  const inside = one.ratio.theory >= 1 / bound && one.ratio.theory <= bound;
  const says =
    `${depth} hidden layers, gain² ${number(gain)}: the start ${verdict}. After ${settings.epochs} ` +
    `epochs the median net is right about ${percent(mid)}% of the time (5–95%: ${percent(low)} to ` +
    `${percent(high)}%). Before training the RMS of z in the last layer is ` +
    `${number(one.ratio.mid, 2)} of layer 1's; theory says ${number(one.ratio.theory, 2)}, ` +
    `${inside ? "between" : "outside"} the dashed lines.`;
  return { says };
}

const note =
  "Map: ReLU nets of 64 units a layer on the digits, the median of 8 nets after 8 epochs of SGD with " +
  "momentum, to 5%. Each place has the best of three rates (0.001, 0.005, 0.02), chosen by the training " +
  "accuracy. Tap a place or use the sliders. Dashed: where theory expects the RMS of z to change a " +
  "hundredfold over the net. That factor is a choice, and the line is no law of training.";

export default explorer({ build, update, note, room: [6, 10.5] });
