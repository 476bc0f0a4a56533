// The opening picture: digits travel through a deep net, whose layers light up or die.

const [DEPTH, ROWS, HEIGHT] = [10, 8, 196];
const EDGE = { left: 58, right: 14, top: 13, row: 22 }; // left and right: as the chart below has it
const [STEP, HOLD, ROUNDS] = [110, 700, 2]; // milliseconds a layer, and at the end; rounds of digits
const LAYERS = Array.from({ length: DEPTH }, (_, i) => i + 1);

/** The picture of a digit and the dots, made once; a dot is one unit. */
function makeDots(ui, parent) {
  const svg = shape("svg", { height: HEIGHT, role: "img", class: "ie-opening-dots" });
  const front = shape("rect", { class: "ie-opening-front", y: 0, height: HEIGHT, rx: 4 });
  const [pixels, drawDigit] = makePixels(6, 1, 74, { class: "ie-opening-pixel" });
  const frame = shape("rect", { class: "ie-opening-frame", x: 0.5, y: 73.5, width: 49, height: 49 });
  const [sockets, dots] = [1.2, 0].map((r) =>
    LAYERS.map(() => Array.from({ length: ui.data.shared.shown }, () => shape("circle", { r }))),
  );
  sockets.flat().forEach((socket) => socket.setAttribute("class", "ie-opening-socket"));
  svg.append(front, ...pixels, frame, ...sockets.flat(), ...dots.flat());
  parent.append(svg);
  Object.assign(ui, { svg, front, dots, drawDigit });

  ui.widthOf(parent, (width) => {
    ui.width = width;
    svg.setAttribute("width", width);
    ui.column = (width - EDGE.left - EDGE.right) / DEPTH;
    ui.radius = Math.min(10, ui.column / 4 - 0.6);
    front.setAttribute("width", ui.column);
    LAYERS.forEach((layer, l) =>
      dots[l].forEach((dot, unit) => {
        const middle = EDGE.left + (l + 0.5) * ui.column;
        const cx = middle + (unit % 2 ? 1 : -1) * (ui.radius + 0.8);
        const cy = EDGE.top + EDGE.row * Math.floor(unit / 2);
        for (const one of [sockets[l][unit], dot]) {
          one.setAttribute("cx", cx.toFixed(1));
          one.setAttribute("cy", cy);
        }
      }),
    );
    drawLayers(ui);
  });
}

/** Show what the units of a layer answer to the digit: the area of a dot is the activation. */
function drawLayer(ui, l) {
  const codes = ui.one.units[ui.digit][l];
  ui.dots[l].forEach((dot, unit) => {
    const value = (Number(codes.slice(2 * unit, 2 * unit + 2)) - 50) / 49;
    dot.setAttribute("r", (ui.radius * Math.sqrt(Math.abs(value))).toFixed(1));
    dot.setAttribute("class", value < 0 ? "ie-opening-negative" : "ie-opening-positive");
  });
}

function drawLayers(ui) {
  if (ui.one && ui.width) LAYERS.forEach((_, l) => drawLayer(ui, l));
}

/** Let the present digit travel: its picture, then layer by layer; then the next digit. */
function step(ui) {
  clearTimeout(ui.timer);
  if (!ui.playing || !ui.inView) return;
  if (ui.at < DEPTH) {
    drawLayer(ui, ui.at);
    ui.front.setAttribute("x", EDGE.left + ui.at * ui.column);
    ui.front.classList.add("is-moving");
    ui.at += 1;
    ui.timer = setTimeout(() => step(ui), ui.at < DEPTH ? STEP : HOLD);
    return;
  }
  ui.left -= 1;
  if (ui.left <= 0) return play(ui, false);
  ui.byItself = true;
  ui.model.set("digit", (ui.model.get("digit") + 1) % 10); // draws the picture, by update
  ui.byItself = false;
  ui.timer = setTimeout(() => step(ui), STEP);
}

function play(ui, playing) {
  ui.playing = playing;
  ui.button.textContent = playing ? "Pause the digits" : "Play the digits";
  ui.left = 10 * ROUNDS;
  if (playing) return step(ui);
  clearTimeout(ui.timer);
  ui.front.classList.remove("is-moving");
  for (; ui.at < DEPTH; ui.at += 1) drawLayer(ui, ui.at); // a digit on its way arrives at once
}

function build(ui) {
  const box = element("div", { class: "ie-opening" });
  const sample = (kind) => shape("circle", { class: `ie-opening-${kind}`, cx: 13, cy: 6, r: 5 });
  const keys = ["positive", "negative"].map((kind) => legend(sample(kind), kind));
  const title = element("span", { class: "ie-chart-title" }, "Activations of one net, layer by layer");
  box.append(element("p", { class: "ie-opening-keys" }, title, ...keys));
  ui.figure.append(box);
  makeDots(ui, box);
  ui.chart({
    parent: box,
    title: "How much a unit's answer varies from digit to digit",
    x: { label: "hidden layer" },
    y: { label: "spread", log: true, over: "weights" },
    height: 140,
    series: [{ key: "spread across inputs", colour: 0 }],
  });

  ui.button = element("button", { type: "button" });
  ui.button.addEventListener("click", () => play(ui, !ui.playing));
  ui.panel.classList.add("ie-opening-panel");
  ui.panel.append(element("div", { class: "ie-control ie-buttons" }, ui.button));
  ui.at = DEPTH; // the layers that show the present digit
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  play(ui, !still.matches);
  const stop = () => still.matches && play(ui, false);
  still.addEventListener("change", stop);
  const view = new IntersectionObserver(([entry]) => {
    ui.inView = entry.isIntersecting;
    step(ui);
  }, { threshold: 0.6 });
  view.observe(ui.svg);
  ui.onRemove(() => {
    clearTimeout(ui.timer);
    still.removeEventListener("change", stop);
    view.disconnect();
  });
}

/** What the numbers mean, in a sentence. */
function tell(one, depth) {
  const last = (series) => number(series.mid.at(-1), 2);
  const [rms, across] = [one.rms.mid.at(-1), one.across.mid.at(-1)];
  const varies = across === 0 ? "by less than 1e−13" : `by ${last(one.across)}`;
  const told = `across the test digits its units vary ${varies}`;
  const first = number(one.rms.mid[0], 2);
  if (one.rms.mid[0] === 0) return "All layers are dark: every unit answers 0 to every digit.";
  if (rms < 1e-3)
    return `The layers go dark: the RMS activation falls from ${first} in layer 1 to ` +
      `${rms === 0 ? "less than 1e−13" : last(one.rms)} in layer ${depth}, and ${told}.`;
  if (across < 0.01 * rms)
    return `Lit but blind: layer ${depth} answers the same to every digit; ${told}, with an RMS ` +
      `activation of ${last(one.rms)}.`;
  if (rms > 100)
    return `The layers explode: the RMS activation grows from ${first} in layer 1 to ` +
      `${last(one.rms)} in layer ${depth}.`;
  if (one.saturated > 0.5)
    return `Layer ${depth} still tells the digits apart (${told}), but ` +
      `${Math.round(100 * one.saturated)}% of its activations are saturated.`;
  return `The digits get through: in layer ${depth} the RMS activation is ${last(one.rms)}, and ${told}.`;
}

function update(ui, read, one) {
  const digit = read("digit");
  const [weights, activation] = [ui.text("weights"), ui.text("activation")];
  const moved = digit !== ui.digit;
  const chosen = ui.one && moved && !ui.byItself; // by the reader: it shows at once
  Object.assign(ui, { one, digit });
  if (moved) ui.drawDigit(ui.data.shared.digits[digit]);
  if (chosen) play(ui, false);
  if (!ui.byItself) drawLayers(ui);
  ui.at = ui.byItself ? 0 : DEPTH;
  ui.svg.setAttribute(
    "aria-label",
    `${ui.data.shared.shown} units in each of ${DEPTH} layers of a ${activation} net, ` +
      `weights ${weights}, with the digit ${digit} as input`,
  );
  return `${activation}, ${weights}. ${tell(one, DEPTH)}`;
}

const note =
  "Dots: 16 of the 64 units of each layer of one untrained net; the area is the activation, full at 1 (ReLU: 3 " +
  "or more). Chart: the spread across inputs over 359 digits, the median of 20 nets with a band from 5% to " +
  "95%; less than 1e−13 counts as 0 and stands at the edge.";

export default explorer({ build, update, note, room: [3, 6] });
