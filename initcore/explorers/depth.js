// Depth and gain: a map of test accuracies with the line of the theory over it.

const [COLUMN, ROW, LEFT] = [42, 30, 44]; // of the map, in units of its view box

/** Where a number lies among `values`, counted in places: between two of them in proportion. */
function place(values, value) {
  const last = values.length - 2;
  const i = Math.max(0, Math.min(last, values.findIndex((one) => one >= value) - 1));
  return i + (value - values[i]) / (values[i + 1] - values[i]);
}

/** The map; the cells alone can be tapped. */
function makeMap(ui) {
  const [depths, gains] = [ui.values("depth"), ui.values("gain")];
  const { lower, upper, depth: along } = ui.data.shared.line;
  const [wide, high] = [COLUMN * depths.length, ROW * gains.length];
  const x = (depth) => LEFT + COLUMN * (place(depths, depth) + 0.5);
  const y = (gain) => high - ROW * (place(gains.map(Math.log), Math.log(gain)) + 0.5);
  const words = (text, attributes) => shape("text", { "text-anchor": "middle", ...attributes }, text);
  const size = { width: COLUMN, height: ROW };
  ui.corner = (depth, gain) => ({ x: x(depth) - COLUMN / 2, y: y(gain) - ROW / 2 });
  ui.mine = shape("rect", { ...size, class: "ie-depth-mine" });
  const axes = [
    ...depths.map((depth) => words(depth, { x: x(depth), y: high + 15 })),
    ...gains.map((gain) => words(gain, { x: LEFT - 15, y: y(gain) + 4 })),
    words("hidden layers", { x: LEFT + wide / 2, y: high + 33 }),
    words("gain²", { transform: `translate(10 ${high / 2}) rotate(-90)` }),
  ];
  const [cells, texts] = [shape("g", { class: "ie-depth-cells" }), shape("g")];
  for (const depth of depths)
    for (const gain of gains) {
      const accuracy = ui.data.cases[`${depth} ${gain}`].accuracy.mid;
      const about = { "data-depth": depth, "data-gain": gain, "fill-opacity": 0.04 + 0.46 * accuracy };
      cells.append(shape("rect", { ...ui.corner(depth, gain), ...size, ...about }));
      texts.append(words(Math.round(100 * accuracy), { x: x(depth), y: y(gain) + 4 }));
    }
  cells.addEventListener("click", ({ target }) => {
    for (const name of ["depth", "gain"]) ui.model.set(name, Number(target.dataset[name]));
    ui.model.save_changes();
  });
  const line = (dash, d) => shape("path", { class: "ie-line", "stroke-dasharray": dash, d });
  const through = (dash, values) => {
    const all = along.map((depth, i) => [x(depth), y(values[i])]);
    const inside = all.filter(([, at]) => at >= 0 && at <= high);
    return line(dash, `M${inside.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L")}`);
  };
  const lines = [through("7 3", lower), through("7 3", upper), through("none", along.map(() => 2))];
  const title = "Test accuracy in %, by depth and gain²";
  const about = { role: "img", "aria-label": `${title}. The sliders choose a place.` };
  const svg = shape(
    "svg",
    { viewBox: `0 0 ${LEFT + wide + 2} ${high + 38}`, ...about },
    cells,
    shape("g", { class: "ie-depth-lines" }, ...lines),
    texts,
    shape("g", { class: "ie-axes" }, ...axes),
    ui.mine,
  );
  const key = (dash, name) => legend(line(dash, "M1 6H25"), name);
  const keys = [key("none", "RMS kept"), key("7 3", "RMS ×100, ÷100")];
  const named = element("span", { class: "ie-chart-title" }, title);
  const caption = element("figcaption", {}, named, element("span", { class: "ie-depth-lines" }, ...keys));
  ui.figure.append(element("figure", { class: "ie-chart ie-depth" }, caption, svg));
}

function build(ui) {
  const { bound } = ui.data.shared;
  makeMap(ui);
  const edge = { kind: "line", colour: 1, dash: "7 3" };
  ui.chart({
    title: "RMS of z in the last layer, by that of layer 1",
    x: { label: "gain²", log: true, domain: [0.42, 9.5], ticks: [0.5, 1, 2, 4, 8] },
    y: { label: "ratio", log: true, domain: [1e-9, 1e9] },
    level: 1,
    height: 300,
    series: [
      { key: "bound low", flat: 1 / bound, ...edge },
      { key: "bound high", flat: bound, ...edge },
      ...pair("RMS ratio", { theory: "theory", label: "200 nets", colour: 0 }),
      {
        ...{ key: "mine", label: "your gain²", colour: "ink", mark: 2 },
        at: (read, one) => ({ x: [read("gain")], y: [one.ratio.mid] }),
      },
    ],
  });
}

function update(ui, read, one) {
  const [depth, gain] = [read("depth"), read("gain")];
  const { bound } = ui.data.shared;
  for (const [axis, at] of Object.entries(ui.corner(depth, gain))) ui.mine.setAttribute(axis, at);
  const { low, mid, high } = one.accuracy;
  const percent = (value) => Math.round(100 * value);
  const verdict = mid <= 0.3 ? "fails" : mid >= 0.8 ? "trains" : "trains in part";
  const inside = one.ratio.theory >= 1 / bound && one.ratio.theory <= bound;
  return (
    `${depth} hidden layers, gain² ${number(gain)}: the start ${verdict}. After 8 epochs the median ` +
    `net is right about ${percent(mid)}% of the time (5–95%: ${percent(low)} to ` +
    `${percent(high)}%). Before training the RMS of z in the last layer is ` +
    `${number(one.ratio.mid, 2)} of layer 1's; theory says ${number(one.ratio.theory, 2)}, ` +
    `${inside ? "between" : "outside"} the dashed lines.`
  );
}

const note =
  "Map: ReLU nets of 64 units a layer on the digits, the median of 8 nets after 8 epochs of SGD with " +
  "momentum, to 5%. Each place has the best of three rates (0.001, 0.005, 0.02), chosen by the training " +
  "accuracy. Tap a place or use the sliders. Dashed: where theory expects the RMS of z to change a " +
  "hundredfold over the net. That factor is a choice, and the line is no law of training.";

export default explorer({ build, update, note, room: [6, 10.5] });
