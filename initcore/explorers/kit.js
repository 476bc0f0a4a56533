// What all explorers share: controls, charts, the numbers as a table. No library, no network.
//
// An anywidget's module must be one file, so initcore.explorers puts this file in front of the
// explorer's own, which ends with `export default explorer({ charts, update, note })`:
//
//   charts     the charts of columns of the table, as `makeChart` describes them; or, for more,
//   build(ui)  makes the picture once: ui.data holds Python's numbers, ui.figure is the element to
//              fill, ui.chart(…) makes a chart, ui.widthOf(box, f) calls f with each new width
//   update(ui, read, one)  draws the present state, but for the charts, and returns a sentence about
//              it: read("name") is the value of a control, `one` the numbers of its case
//   note, room  how to read the marks; the height of the longest sentence, wide and on a phone, in em

const SVG = "http://www.w3.org/2000/svg";
let count = 0; // for ids: several explorers may share a page

function dress(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** An HTML or an SVG element with its attributes and children (texts or elements). */
const element = (tag, attributes = {}, ...children) =>
  dress(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) =>
  dress(document.createElementNS(SVG, tag), attributes, children);

/** A number as people write it: 0.0707, 1.2e-5, 3,200 → "0.0707", "1.2e−5", "3200". */
function number(value, digits = 3) {
  if (typeof value !== "number") return String(value ?? "–");
  const size = Math.abs(value);
  const far = value !== 0 && (size < 1e-3 || size >= 1e5);
  const text = far ? value.toExponential(digits - 1) : Number(value.toPrecision(digits)).toString();
  return text.replace("e+", "e").replaceAll("-", "−");
}

/** A number at an axis: powers of ten where it is far from 1. */
function tick(value, { log }) {
  const power = Math.round(Math.log10(Math.abs(value)));
  if (!log || Math.abs(power) < 3) return number(value);
  const raised = [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  return `10${raised.join("")}`;
}

/** The decades that hold all values above 0, and at least those from 10^low to 10^high. */
function decades(values, low = Infinity, high = -Infinity) {
  const powers = values.filter((value) => value > 0).map(Math.log10);
  const first = Math.min(low, Math.floor(Math.min(...powers)));
  return [10 ** first, 10 ** Math.max(high, Math.ceil(Math.max(...powers) - 1e-9))];
}

/** Two series of a chart: a measured one, and the line of its theory under it. */
function pair(key, { theory, label, colour, dash }) {
  const line = { key: `${key}, theory`, label: theory, kind: "line", colour, dash };
  return [line, { key, label, colour }];
}

/** Text with the values of controls in it: "gradient {depth}". */
const fill = (text, read) => text.replace(/\{(\w+)\}/g, (_, name) => read(name));

/**
 * What stands at a path in the data, "case/{mode}/mid", or at that of its band's `end`; a list has a
 * path or a value a row.
 */
function lookUp(where, data, read, end = "mid") {
  if (Array.isArray(where)) return where.map((one) => lookUp(one, data, read, end));
  if (typeof where !== "string") return where;
  const path = fill(where, read).replace(/mid$/, end).split("/");
  return path.reduce((part, name) => part?.[name], data);
}

/** The columns of the table that the data have, by their heads: as long as the shortest one. */
function tabulate(columns, get) {
  const found = columns.map(([head, where]) => [head, get(where)]).filter(([, values]) => values);
  const rows = Math.min(...found.map(([, values]) => values.length));
  return new Map(found.map(([head, values]) => [head, values.slice(0, rows)]));
}

/** The place of values on an axis from `start` to `end`, in pixels; what is off it is at its edge. */
function scale({ domain: [low, high], log }, start, end) {
  const of = log ? Math.log10 : (value) => value;
  const factor = (end - start) / (of(high) - of(low));
  return (value) => start + (of(Math.min(Math.max(value, low), high)) - of(low)) * factor;
}

/** The powers of ten to write at an axis: about `most` of them. */
function powers([low, high], most) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first) / most));
  const count = Math.floor((last - first) / step) + 1;
  return Array.from({ length: count }, (_, i) => Number(`1e${first + i * step}`));
}

/** An entry of a legend: what is drawn, in 26 by 12 pixels, and its name. */
function legend(drawn, name) {
  const sample = shape("svg", { width: 26, height: 12, "aria-hidden": "true" }, drawn);
  return element("span", { class: "ie-key" }, sample, name);
}

// Around (x, y), one for each colour, as no figure may depend on colour alone.
const MARKS = [
  (x, y) => `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z`,
  (x, y) => `M${x - 3.5} ${y - 3.5}h7v7h-7Z`,
  (x, y) => `M${x} ${y - 5}l5 5l-5 5l-5 -5Z`,
];

/**
 * A chart of series over the first column of the table; return how to draw it in a state.
 *
 * series: [{ key, label, kind, colour, mark, dash }], the key being the head of its column: measured,
 * with a marker and a band, or kind "line" (theory). What is no column has `flat`, the height of a line
 * across the chart, or `at(read, one)`, which returns its { x, y }. A series without data is left out;
 * `none` is the title of a chart that has no other.
 * x: { label, domain, margin, ticks, log, even }; the domain is that of the column, with a margin. If it
 * is even, the values stand at equal distances, whatever they are.
 * y: { label, domain, ticks, log }. Without a domain it has the decades that hold its columns (or those
 * that `holds` names), in all cases of the control `over`; at least those from 10^least[0] to
 * 10^least[1], and nothing below `floor`.
 */
function makeChart(ui, { parent = ui.figure, title, none, x, y, series, height = 250, level }) {
  const name = element("span", { class: "ie-chart-title" }, title);
  const [axes, plot] = [shape("g", { class: "ie-axes" }), shape("g")];
  const svg = shape("svg", { height, role: "img" }, axes, plot);
  const caption = element("figcaption", {}, name);
  const box = element("figure", { class: "ie-chart" }, caption, svg);
  parent.append(box);
  const parts = series.map((one) => {
    const isLine = one.kind === "line";
    const mark = MARKS[one.mark ?? one.colour];
    const look = { class: isLine ? "ie-line" : "ie-points" };
    if (one.dash) look["stroke-dasharray"] = one.dash;
    const band = shape("path", { class: "ie-band" });
    const path = shape("path", { ...look, "data-series": one.key });
    const sample = shape("path", { ...look, d: isLine ? "M1 6H25" : mark(13, 6) });
    for (const drawn of [band, path, sample])
      drawn.style.setProperty("--ie-c", `var(--ie-${one.colour})`);
    plot.append(band, path);
    if (one.label) caption.append(legend(sample, one.label));
    return { ...one, isLine, mark, band, path };
  });

  let width = 0;
  let shown = null; // the state
  const edge = { top: 8, right: 14, bottom: 40, left: 58 };

  /** The values of a column in a state, if it has any, and the ends of its band. */
  function valuesOf(key, { table, get }) {
    const values = table.get(key) ?? [];
    const end = (name) => get(ui.columns.get(key), name)?.slice(0, values.length);
    return { y: values, low: end("low"), high: end("high") };
  }

  function domainOfY() {
    const { over, least = [], floor = 0 } = y;
    const states = over ? ui.values(over).map((value) => shown.but(over, value)) : [shown];
    const keys = y.holds ?? series.map(({ key }) => key);
    const all = keys.flatMap((key) => states.map((one) => Object.values(valuesOf(key, one)).flat()));
    const [low, high] = decades(all.flat(), ...least);
    return [Math.max(low, floor), high];
  }

  function draw() {
    if (!width || !shown) return;
    const [column] = shown.table.values();
    const xs = x.even ? column.map((_, place) => place) : column;
    const { margin = 0.5, domain = [xs[0] - margin, xs.at(-1) + margin] } = x;
    const every = Math.max(1, Math.floor(xs.length / 8));
    const xAxis = { ...x, domain, ticks: x.ticks ?? xs.filter((_, place) => xs[place] % every === 0) };
    const yAxis = { ...y, domain: y.domain ?? domainOfY() };
    const [right, bottom] = [Math.max(width - edge.right, edge.left + 40), height - edge.bottom];
    const places = { x: scale(xAxis, edge.left, right), y: scale(yAxis, bottom, edge.top) };
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const [axis, { domain, log }] of [["x", xAxis], ["y", yAxis]])
      svg.setAttribute(`data-${axis}`, JSON.stringify([domain, !!log]));
    axes.replaceChildren();
    const write = (text, attributes) => axes.append(shape("text", attributes, text));
    const rule = (kind, d) => axes.append(shape("path", { class: kind, d }));
    for (const value of xAxis.ticks) {
      const at = places.x(value);
      rule("ie-tick", `M${at} ${bottom}v4`);
      const text = tick(x.even ? column[value] : value, x);
      write(text, { x: at, y: bottom + 17, "text-anchor": "middle" });
    }
    for (const value of y.ticks ?? powers(yAxis.domain, 6)) {
      const at = places.y(value);
      rule("ie-grid", `M${edge.left} ${at}H${right}`);
      write(tick(value, y), { x: edge.left - 6, y: at + 4, "text-anchor": "end" });
    }
    rule("ie-frame", `M${edge.left} ${edge.top}V${bottom}H${right}`);
    const [lowest, highest] = yAxis.domain;
    if (level >= lowest && level <= highest)
      rule("ie-level", `M${edge.left} ${places.y(level)}H${right}`);
    const middle = (edge.left + right) / 2;
    write(x.label, { x: middle, y: height - 6, "text-anchor": "middle" });
    const turned = `translate(12 ${(edge.top + bottom) / 2}) rotate(-90)`;
    write(y.label, { transform: turned, "text-anchor": "middle" });

    name.textContent = none;
    for (const { key, flat, at, isLine, mark, band, path } of parts) {
      const across = flat === undefined ? undefined : { x: domain, y: [flat, flat] };
      const values = at?.(shown.read, shown.one) ?? across ?? { x: xs, ...valuesOf(key, shown) };
      const there = Object.keys(values.y).filter((i) => Number.isFinite(values.y[i]));
      const points = (ys) =>
        there.map((i) => [places.x(values.x[i]).toFixed(1), places.y(ys[i]).toFixed(1)]);
      const join = (all) => (all.length ? `M${all.map((point) => point.join(" ")).join("L")}` : "");
      const middle = points(values.y);
      const marks = () => middle.map((point) => mark(...point.map(Number))).join("");
      const ends = isLine || !values.low ? [] : [values.low, values.high].map(points);
      path.setAttribute("d", isLine ? join(middle) : marks());
      band.setAttribute("d", join(ends.flatMap((end, i) => (i ? end.toReversed() : end))));
      if (there.length) name.textContent = title;
    }
    svg.setAttribute("aria-label", name.textContent);
  }

  ui.widthOf(box, (now) => {
    width = now;
    draw();
  });
  return (state) => {
    shown = state;
    draw();
  };
}

/** A labelled native control, and how to show its value: a slider, radio buttons, a list or a check box. */
function makeControl(model, { key, label, kind, values, texts }) {
  const id = `ie-${(count += 1)}`;
  const place = () => values.indexOf(model.get(key));
  const control = (tag, attributes, ...children) => {
    const input = element(tag, { id, name: key, ...attributes }, ...children);
    input.addEventListener("input", () => {
      model.set(key, values[Number(kind === "check" ? input.checked : input.value)]);
      model.save_changes();
    });
    return input;
  };
  const box = (...parts) => element("div", { class: `ie-control ie-${kind}` }, ...parts);
  const named = element("label", { for: id }, label);
  if (kind === "range") {
    const output = element("output", { for: id });
    // one width for all texts: no value moves the slider to another line
    output.style.minWidth = `${Math.max(...texts.map((text) => text.length))}ch`;
    const input = control("input", { type: "range", min: 0, max: values.length - 1 });
    const show = () => {
      input.value = place();
      output.textContent = texts[place()];
      input.setAttribute("aria-valuetext", texts[place()]);
    };
    return [box(named, " ", output, input), show];
  }
  if (kind === "check") {
    const input = control("input", { type: "checkbox" });
    return [box(element("label", {}, input, " ", label)), () => (input.checked = model.get(key))];
  }
  if (kind === "list") {
    const options = texts.map((text, i) => element("option", { value: i }, text));
    const input = control("select", {}, ...options);
    return [box(named, " ", input), () => (input.value = place())];
  }
  const radio = { type: "radio", name: id, "data-key": key };
  const radios = texts.map((_, i) => control("input", { ...radio, id: `${id}-${i}`, value: i }));
  const labels = radios.map((input, i) => element("label", {}, input, " ", texts[i]));
  const group = element("fieldset", { class: "ie-control" }, element("legend", {}, label), ...labels);
  return [group, () => (radios[place()].checked = true)];
}

/** The numbers behind the picture, folded, and how to write its [head, values] where it is open. */
function makeTable(title) {
  const table = element("table");
  const about = { class: "ie-scroll", tabindex: "0", role: "group", "aria-label": title };
  const summary = element("summary", {}, title);
  const details = element("details", { class: "ie-numbers" }, summary, element("div", about, table));
  const head = (scope) => (text) => element("th", { scope }, text);
  const write = (columns) => {
    if (!details.open) return;
    const [first, ...others] = columns.map(([, values]) => values.map((value) => number(value)));
    const cells = (line) => others.map((texts) => element("td", {}, texts[line]));
    const rows = first.map((text, line) => element("tr", {}, head("row")(text), ...cells(line)));
    const heads = element("tr", {}, ...columns.map(([name]) => name).map(head("col")));
    table.replaceChildren(element("thead", {}, heads), element("tbody", {}, ...rows));
  };
  return [details, write];
}

/** 8 × 8 pixels, and how to draw a text in them: their levels, 0 (paper) to g (ink, 16). */
function makePixels(size, left = 0, top = 0, about = {}) {
  const pixels = Array.from({ length: 64 }, (_, i) => {
    const place = { x: left + size * (i % 8), y: top + size * Math.floor(i / 8) };
    return shape("rect", { ...place, width: size, height: size, ...about });
  });
  const draw = (text) =>
    pixels.forEach((pixel, i) => pixel.setAttribute("fill-opacity", parseInt(text[i], 17) / 16));
  return [pixels, draw];
}

/** An anywidget module of an explorer. */
function explorer({ charts = [], build = (ui) => charts.forEach(ui.chart), update, note, room = [3, 3] }) {
  function render({ model, el }) {
    const read = (key) => model.get(key);
    const [title, controls, columns] = ["title", "controls", "columns"].map(read);
    const data = JSON.parse(read("data"));
    const boxes = controls.map((control) => makeControl(model, control));
    const panel = element("div", { class: "ie-controls" }, ...boxes.map(([box]) => box));
    const figure = element("div", { class: "ie-figure" });
    const says = element("p", { class: "ie-says" });
    ["--ie-room", "--ie-room-phone"].forEach((name, i) => says.style.setProperty(name, `${room[i]}em`));
    // said aloud when the reader has stopped moving, and not at every step of a slider
    const aloud = element("p", { class: "ie-hidden", role: "status" });
    const [numbers, writeNumbers] = makeTable("The numbers in this picture");
    const buttons = element("p", { class: "ie-buttons" });
    const root = element(
      "section",
      { class: "initcore-explorer", "aria-label": title, "data-name": read("name") },
      element("p", { class: "ie-title" }, title),
      ...[panel, figure, element("p", { class: "ie-note" }, note), says, aloud, numbers, buttons],
    );
    el.append(root);

    const opened = controls.map(({ key }) => [key, read(key)]); // what a chapter shows at first
    const [drawn, endings] = [[], []];
    const valuesOf = (name) => controls.find(({ key }) => key === name);
    const ui = {
      model,
      figure,
      panel,
      data,
      columns: new Map(columns),
      values: (name) => valuesOf(name).values,
      text(name) {
        const { values, texts } = valuesOf(name);
        return texts[values.indexOf(read(name))]; // how the value of a control is shown
      },
      chart: (options) => drawn.push(makeChart(ui, options)),
      widthOf(box, use) {
        let width = 0;
        const observer = new ResizeObserver(([entry]) => {
          const now = Math.round(entry.contentRect.width);
          if (now !== width && now !== 0) use((width = now));
        });
        observer.observe(box);
        endings.push(() => observer.disconnect());
      },
    };
    build(ui);
    const [follow, unfollow] = makeFollower(model, root);
    endings.push(unfollow);

    /** What a chart draws: the numbers where the controls are as `read` says. */
    function stateOf(read) {
      const one = data.cases[model.get("measured").map(read).join(" ")];
      const get = (where, end) => lookUp(where, { ...data, case: one }, read, end);
      const but = (name, value) => stateOf((key) => (key === name ? value : read(key)));
      return { read, one, get, but, table: tabulate(columns, get) };
    }

    let timer = null;
    function draw() {
      boxes.forEach(([, show]) => show());
      const state = stateOf(read);
      drawn.forEach((drawChart) => drawChart(state));
      const sentence = update(ui, read, state.one);
      // aloud only what is new: a figure opens without a word
      clearTimeout(timer);
      if (says.textContent && sentence !== aloud.textContent)
        timer = setTimeout(() => (aloud.textContent = sentence), 700);
      says.textContent = sentence;
      writeNumbers([...state.table].map(([head, values]) => [fill(head, read), values]));
      follow(state.table);
    }
    for (const { key } of controls) model.on(`change:${key}`, draw);
    numbers.addEventListener("toggle", draw);

    const button = (text, act) => {
      const made = element("button", { type: "button" }, text);
      made.addEventListener("click", act);
      buttons.append(made);
    };
    button("Reset", () => {
      for (const [key, value] of opened) model.set(key, value);
      model.save_changes();
    });
    if (model.share) {
      // on a page: the host (website/assets/explorers/host.js) knows the address
      const done = element("span", { role: "status" });
      button("Copy a link to this view", async () => (done.textContent = await model.share()));
      buttons.append(done);
    }
    // In JupyterLab the keys are the controls', not shortcuts: arrows move no cell, Enter edits none.
    for (const one of root.querySelectorAll("input, select, button, summary, [tabindex]"))
      one.setAttribute("data-lm-suppress-shortcuts", "true");
    draw();
    return () => {
      clearTimeout(timer);
      endings.forEach((end) => end());
      for (const { key } of controls) model.off(`change:${key}`, draw);
    };
  }
  return { render };
}
