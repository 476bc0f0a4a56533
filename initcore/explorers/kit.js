// What all explorers share: controls, charts, the numbers as a table. No library, no network.
//
// An anywidget's module must be one file, so initcore.explorers puts this file in front of the
// explorer's own, which ends with `export default explorer({ build, update, note })`:
//
//   build(ui)              makes the picture once: ui.data holds Python's numbers, ui.figure is the
//                          element to fill, ui.chart(…) makes a chart in it, ui.widthOf(box, f)
//                          calls f with a width when it changes, ui.onRemove(f) calls f when the
//                          figure goes
//   update(ui, read, one)  draws the present state: read("name") of each control, and `one`, the
//                          numbers of its case. Returns { says: "a sentence" }, and in `more` the
//                          columns of the table that are not in the data.
//
// The table is drawn from the columns that the class in Python describes. What the notebook printed
// of it below the figure follows the figure, too. `note` says how to read
// the marks; `room` is the height of the longest sentence, wide and on a phone, in em.

const SVG = "http://www.w3.org/2000/svg";
let count = 0; // for ids: several explorers may share a page

/** An HTML element with its attributes and children (texts or elements). */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** An SVG element with its attributes. */
function shape(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A number as people write it: 0.0707, 1.2e-5, 3,200 → "0.0707", "1.2e−5", "3200". */
function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  const far = size < 1e-3 || size >= 1e5;
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

/** A measured series as a chart draws it. */
const measured = (x, { low, mid, high }) => ({ x, y: mid, low, high });

/** A measured series and its theory, by the names of their columns, as `pair` has them. */
function both(key, x, series) {
  return { [key]: measured(x, series), [`${key}, theory`]: series.theory && { x, y: series.theory } };
}

/** The series of a chart that `both` draws: markers over a line. */
function pair(key, { theory, label, colour, dash }) {
  const line = { key: `${key}, theory`, label: theory, kind: "line", colour, dash };
  return [line, { key, label, kind: "points", colour }];
}

/** Text with the values of controls in it: "gradient {depth}". */
const fill = (text, read) => text.replace(/\{(\w+)\}/g, (_, name) => read(name));

/** What stands at a path in the data, "case/{mode}/mid"; a list has a path or a value a row. */
function lookUp(where, data, read) {
  if (Array.isArray(where)) return where.map((one) => lookUp(one, data, read));
  if (typeof where !== "string") return where;
  return fill(where, read).split("/").reduce((part, name) => part?.[name], data);
}

/** The lines of the table, the head first: as many rows as the shortest column has. */
function makeLines(columns, data, read, more = {}) {
  const found = columns.map(([head, where]) => [fill(head, read), lookUp(where, data, read)]);
  const there = [...found, ...Object.entries(more)].filter(([, values]) => values);
  const rows = Math.min(...there.map(([, values]) => values.length));
  const line = (_, row) => there.map(([, values]) => values[row]);
  return [there.map(([head]) => head), ...Array.from({ length: rows }, line)];
}

/** The place of values on an axis from `start` to `end`, in pixels. */
function scale({ domain: [low, high], log }, start, end) {
  const of = log ? Math.log10 : (value) => value;
  const factor = (end - start) / (of(high) - of(low));
  return (value) => start + (of(value) - of(low)) * factor;
}

/** Round numbers to write at an axis: about `most` of them. */
function ticks({ domain: [low, high], log }, most) {
  const found = [];
  if (log) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const step = Math.max(1, Math.ceil((last - first) / most));
    for (let power = first; power <= last; power += step) found.push(Number(`1e${power}`));
    return found;
  }
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1)
    found.push(Number((n * step).toPrecision(12)));
  return found;
}

/** An entry of a legend: what is drawn, in 26 by 12 pixels, and its name. */
function legend(drawn, name) {
  const sample = shape("svg", { width: 26, height: 12, "aria-hidden": "true" });
  sample.append(drawn);
  return element("span", { class: "ie-key" }, sample, name);
}

const MARKS = {
  // around (x, y), one for each series, as no figure may depend on colour alone
  circle: (x, y) => `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z`,
  square: (x, y) => `M${x - 3.5} ${y - 3.5}h7v7h-7Z`,
  diamond: (x, y) => `M${x} ${y - 5}l5 5l-5 5l-5 -5Z`,
  triangle: (x, y) => `M${x} ${y - 5}l5 9h-10Z`,
};

/**
 * A chart of series over a common x axis.
 *
 * x and y: { label, domain: [low, high], log }. What is off the y axis stands at its edge.
 * series: [{ key, label, kind, colour, mark, dash }], the key being the head of its column in the
 * table, if there is one; kind "points" (measured: a marker, and a band
 * if there is one) or "line" (theory). draw({ key: { x: […], y: […], low: […], high: […] } })
 * draws; null is left out. chart.axes({ x, y }) changes the axes that the next draw has.
 */
function makeChart(ui, { parent = ui.figure, title, x, y, series, height = 250, level = null }) {
  const box = element("figure", { class: "ie-chart" });
  const caption = element("figcaption", {}, element("span", { class: "ie-chart-title" }, title));
  const svg = shape("svg", { height, role: "img", "aria-label": title });
  const [axes, plot] = [shape("g", { class: "ie-axes" }), shape("g")];
  svg.append(axes, plot);
  const keys = element("span", { class: "ie-keys" });
  const parts = {};
  series.forEach((one, index) => {
    const mark = MARKS[one.mark ?? Object.keys(MARKS)[(one.colour ?? index) % 4]];
    const look = { class: one.kind === "line" ? "ie-line" : "ie-points" };
    if (one.dash) look["stroke-dasharray"] = one.dash;
    const band = shape("path", { class: "ie-band" });
    const path = shape("path", { ...look, "data-series": one.key });
    const sample = shape("path", { ...look, d: one.kind === "line" ? "M1 6H25" : mark(13, 6) });
    for (const drawn of [band, path, sample])
      drawn.style.setProperty("--ie-c", `var(--ie-${one.colour ?? index})`);
    plot.append(band, path);
    parts[one.key] = { ...one, mark, band, path };
    if (one.label) keys.append(legend(sample, one.label));
  });
  caption.append(keys);
  box.append(caption, svg);
  parent.append(box);

  let shown = {};
  let width = 0;
  let places = null;
  let stale = false; // other axes are asked for than those drawn
  const edge = { top: 8, right: 14, bottom: 40, left: 58 };

  function layOut() {
    stale = false;
    const [right, bottom] = [Math.max(width - edge.right, edge.left + 40), height - edge.bottom];
    places = { x: scale(x, edge.left, right), y: scale(y, bottom, edge.top) };
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const [name, axis] of Object.entries({ x, y }))
      svg.setAttribute(`data-${name}`, JSON.stringify([axis.domain, !!axis.log]));
    axes.replaceChildren();
    const write = (text, attributes) => {
      const label = shape("text", attributes);
      label.textContent = text;
      axes.append(label);
    };
    for (const value of x.ticks ?? ticks(x, Math.max(3, Math.floor(width / 90)))) {
      const at = places.x(value);
      axes.append(shape("path", { d: `M${at} ${bottom}v4` }));
      write(x.text?.(value) ?? tick(value, x), { x: at, y: bottom + 17, "text-anchor": "middle" });
    }
    for (const value of y.ticks ?? ticks(y, 6)) {
      const at = places.y(value);
      axes.append(shape("path", { class: "ie-grid", d: `M${edge.left} ${at}H${right}` }));
      write(y.text?.(value) ?? tick(value, y), { x: edge.left - 6, y: at + 4, "text-anchor": "end" });
    }
    const frame = `M${edge.left} ${edge.top}V${bottom}H${right}`;
    axes.append(shape("path", { class: "ie-frame", d: frame }));
    if (level !== null && level >= y.domain[0] && level <= y.domain[1])
      axes.append(shape("path", { class: "ie-level", d: `M${edge.left} ${places.y(level)}H${right}` }));
    const middle = (edge.left + right) / 2;
    write(x.label, { x: middle, y: height - 6, "text-anchor": "middle" });
    const turned = `translate(12 ${(edge.top + bottom) / 2}) rotate(-90)`;
    write(y.label, { transform: turned, "text-anchor": "middle" });
    show();
  }

  function show() {
    if (!places) return;
    const inside = (value) => Math.min(Math.max(value, y.domain[0]), y.domain[1]);
    const at = (value) => places.y(inside(value)).toFixed(1);
    for (const [key, { kind, mark, band, path }] of Object.entries(parts)) {
      const values = shown[key];
      if (!values) {
        path.setAttribute("d", "");
        band.setAttribute("d", "");
        continue;
      }
      const there = values.x.map((_, i) => i).filter((i) => Number.isFinite(values.y[i]));
      const xs = values.x.map((value) => places.x(value).toFixed(1));
      const join = (list, ys) => list.map((i) => `${xs[i]} ${at(ys[i])}`).join("L");
      if (kind === "line") path.setAttribute("d", there.length ? `M${join(there, values.y)}` : "");
      else path.setAttribute("d", there.map((i) => mark(+xs[i], +at(values.y[i]))).join(""));
      const banded = values.low && there.length;
      const back = banded ? [...there].reverse() : [];
      const outline = banded ? `M${join(there, values.low)}L${join(back, values.high)}Z` : "";
      band.setAttribute("d", outline);
    }
  }

  ui.widthOf(box, (now) => {
    width = now;
    layOut();
  });

  return {
    svg,
    draw(values) {
      shown = values;
      if (stale) layOut();
      else show();
    },
    axes(changed) {
      const before = JSON.stringify([x, y]);
      x = { ...x, ...changed.x };
      y = { ...y, ...changed.y };
      stale ||= places !== null && JSON.stringify([x, y]) !== before;
    },
    title(text) {
      caption.firstChild.textContent = text;
      svg.setAttribute("aria-label", text);
    },
  };
}

/** A labelled native control: a slider, radio buttons, a list or a check box. */
function makeControl(model, { key, label, kind, values, texts }) {
  const id = `ie-${(count += 1)}`;
  const write = (value) => {
    model.set(key, value);
    model.save_changes();
  };
  const place = () => Math.max(0, values.indexOf(model.get(key)));
  if (kind === "range") {
    const output = element("output", { for: id });
    // one width for all texts: no value moves the slider to another line
    output.style.minWidth = `${Math.max(...texts.map((text) => text.length))}ch`;
    const attributes = { type: "range", id, min: 0, max: values.length - 1, step: 1 };
    const input = element("input", { ...attributes, name: key });
    input.addEventListener("input", () => write(values[+input.value]));
    const show = () => {
      input.value = place();
      output.textContent = texts[place()];
      input.setAttribute("aria-valuetext", texts[place()]);
    };
    const named = element("label", { for: id }, label);
    return [element("div", { class: "ie-control" }, named, " ", output, input), show];
  }
  if (kind === "check") {
    const input = element("input", { type: "checkbox", id, name: key });
    input.addEventListener("change", () => write(input.checked));
    const show = () => (input.checked = model.get(key));
    const named = element("label", { for: id }, input, " ", label);
    return [element("div", { class: "ie-control ie-check" }, named), show];
  }
  if (kind === "list") {
    const options = texts.map((text, i) => element("option", { value: i }, text));
    const input = element("select", { id, name: key }, ...options);
    input.addEventListener("change", () => write(values[+input.value]));
    const show = () => (input.value = place());
    const named = element("label", { for: id }, label);
    return [element("div", { class: "ie-control" }, named, " ", input), show];
  }
  const radios = texts.map((text, i) => {
    const input = element("input", { type: "radio", name: id, value: i, "data-key": key });
    input.addEventListener("change", () => input.checked && write(values[i]));
    return [input, element("label", {}, input, " ", text)];
  });
  const labels = radios.map(([, named]) => named);
  const group = element("fieldset", { class: "ie-control" }, element("legend", {}, label), ...labels);
  const show = () => radios.forEach(([input], i) => (input.checked = i === place()));
  return [group, show];
}

/** The numbers behind the picture, folded, and made when they are looked at. */
function makeTable(title) {
  const table = element("table");
  let lines = [[]]; // the head first
  const box = element("div", { class: "ie-scroll", tabindex: "0", role: "group" }, table);
  box.setAttribute("aria-label", title);
  const details = element("details", { class: "ie-numbers" }, element("summary", {}, title), box);
  const cell = (text, line, i) =>
    line && i ? element("td", {}, text) : element("th", { scope: line ? "row" : "col" }, text);
  const row = (values, line) =>
    element("tr", {}, ...values.map((value, i) => cell(number(value), line, i)));
  const show = () => {
    if (!details.open) return;
    const [first, ...rest] = lines.map(row);
    table.replaceChildren(element("thead", {}, first), element("tbody", {}, ...rest));
  };
  details.addEventListener("toggle", show);
  const write = (now) => {
    lines = now;
    show();
  };
  return [details, write];
}

/** A number as Python prints it in a table: 0.0707, 1.2e-05, and 0.10 by the format ".2f". */
function printed(value, format = "") {
  if (typeof value !== "number") return value === null ? "nan" : String(value);
  const toEven = (text, places) => {
    // without the 5 of a tie, after an even digit: JavaScript would round up
    const tie = RegExp(`(\\.\\d{${places - 1}}[02468])50*(e|$)`);
    return Number(text.replace(tie, "$1$2"));
  };
  const places = format.match(/^\.(\d)f$/)?.[1];
  if (places) return toEven(value.toFixed(40), places).toFixed(places);
  const rounded = toEven(value.toExponential(40), 2).toExponential(2);
  const [digits, power] = rounded.split("e").map(Number);
  if (!value || (power >= -4 && power < 3)) return String(Number(rounded));
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/**
 * Let the text follow that the same cell printed below the figure, if it has columns of the table:
 * return a function that takes the table's lines, and one that ends it. On a page (`model.share`)
 * paper shows the still picture of the start, and so the text as it was.
 */
function makeFollower(model, root) {
  const read = (key) => model.get(key);
  const heads = read("columns").map(([head]) => head);
  const paper = matchMedia("print");
  let box = null; // what holds the text: in JupyterLab it comes after the figure
  let [start, now, chosen] = ["", "", []];
  const find = () => {
    box = root.closest(".cell_output, .jp-OutputArea")?.querySelector("pre");
    start = box?.textContent ?? "";
    const named = (name) => (head) => RegExp(`^${head.replace(/\{\w+\}/, ".+")}$`).test(name);
    const names = start.split("\n")[0].trim().split(/ {2,}/);
    chosen = names.map((name) => (heads.includes(name) ? name : heads.find(named(name))));
    if (chosen.includes(undefined)) box = null;
  };
  const show = () => box && (box.textContent = paper.matches && model.share ? start : now);
  const follow = (lines) => {
    if (!box?.isConnected) find();
    if (!box) return;
    const columns = chosen.filter((head) => lines[0].includes(fill(head, read))).map((head) => {
      const place = lines[0].indexOf(fill(head, read));
      const format = read("formats")[head];
      const cells = lines.map((line, row) => (row ? printed(line[place], format) : line[place]));
      const width = Math.max(...cells.map((cell) => cell.length));
      return cells.map((cell) => cell.padStart(width));
    });
    now = lines.map((_, row) => `${columns.map((cells) => cells[row]).join("  ")}\n`).join("");
    show();
  };
  paper.addEventListener("change", show);
  return [follow, () => paper.removeEventListener("change", show)];
}

/** Call `use(width)` now and whenever the width of a box changes; return how to end that. */
function watchWidth(box, use) {
  let width = 0;
  const observer = new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width || now === 0) return;
    width = now;
    use(width);
  });
  observer.observe(box);
  return () => observer.disconnect();
}

/** An anywidget module of an explorer. */
function explorer({ build, update, note, room = [3, 3] }) {
  function render({ model, el }) {
    const title = model.get("title");
    const about = { "aria-label": title, "data-name": model.get("name") };
    const root = element("section", { class: "initcore-explorer", ...about });
    root.append(element("p", { class: "ie-title" }, title));
    const controls = model.get("controls");
    const panel = element("div", { class: "ie-controls" });
    const shows = controls.map((control) => {
      const [box, show] = makeControl(model, control);
      panel.append(box);
      return show;
    });
    const figure = element("div", { class: "ie-figure" });
    const says = element("p", { class: "ie-says" });
    ["--ie-room", "--ie-room-phone"].forEach((name, i) => says.style.setProperty(name, `${room[i]}em`));
    // Said aloud when the reader has stopped moving, and not at every step of a slider.
    const aloud = element("p", { class: "ie-hidden", role: "status" });
    const [numbers, writeNumbers] = makeTable("The numbers in this picture");
    const buttons = element("p", { class: "ie-buttons" });
    root.append(panel, figure, says, aloud, numbers, buttons);
    el.append(root);

    const endings = [];
    const data = JSON.parse(model.get("data"));
    const read = (key) => model.get(key);
    const opened = controls.map(({ key }) => [key, read(key)]); // what a chapter shows at first
    const ui = {
      model,
      figure,
      panel,
      data,
      text(name) {
        const { values, texts } = controls.find(({ key }) => key === name);
        return texts[values.indexOf(read(name))]; // how the value of a control is shown
      },
      chart: (options) => makeChart(ui, options),
      widthOf: (box, use) => endings.push(watchWidth(box, use)),
      onRemove: (end) => endings.push(end),
    };
    build(ui);
    const [follow, unfollow] = makeFollower(model, root);
    ui.onRemove(unfollow);
    if (note) root.insertBefore(element("p", { class: "ie-note" }, note), says);

    let timer = 0;
    let first = true;
    function draw() {
      shows.forEach((show) => show());
      const one = data.cases[model.get("measured").map(read).join(" ")];
      const { says: sentence, more } = update(ui, read, one);
      says.textContent = sentence;
      const all = [model.get("columns"), { ...data, case: one }, read];
      writeNumbers(makeLines(...all, more));
      follow(makeLines(...all));
      clearTimeout(timer);
      // not again what was said already: some figures move by themselves
      const speak = () => aloud.textContent === sentence || (aloud.textContent = sentence);
      if (!first) timer = setTimeout(speak, 700);
      first = false;
    }
    for (const { key } of controls) model.on(`change:${key}`, draw);

    const reset = element("button", { type: "button" }, "Reset");
    reset.addEventListener("click", () => {
      for (const [key, value] of opened) model.set(key, value);
      model.save_changes();
    });
    buttons.append(reset);
    if (model.share) {
      // on a page: the host (website/assets/explorers/host.js) knows the address
      const share = element("button", { type: "button" }, "Copy a link to this view");
      const done = element("span", { role: "status" });
      share.addEventListener("click", async () => (done.textContent = await model.share()));
      buttons.append(share, done);
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
