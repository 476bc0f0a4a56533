// The opening picture: a digit travels through a deep net, whose layers light up or die.

const [DEPTH, HEIGHT] = [10, 201];
const EDGE = { left: 58, right: 14, top: 18, row: 22 }; // left and right: as the chart below has it
const STEP = 80; // milliseconds from layer to layer: a change goes through the net like a signal

/** The picture of a digit, and a group of dots for each layer; a dot is one unit. */
function makeDots(ui, parent) {
  const svg = shape("svg", { height: HEIGHT, role: "img", class: "ie-opening-dots" });
  const [pixels, drawDigit] = makePixels(6, 1, 79, { class: "ie-opening-pixel" });
  const frame = shape("g", { class: "ie-axes" }, shape("path", { d: "M0.5 78.5h49v49h-49Z" }));
  const layers = Array.from({ length: DEPTH }, () => shape("g"));
  svg.append(...pixels, frame, ...layers);
  parent.append(svg);
  Object.assign(ui, { svg, drawDigit });

  ui.widthOf(parent, (width) => {
    const column = (width - EDGE.left - EDGE.right) / DEPTH;
    ui.radius = Math.min(10, column / 4 - 0.6);
    svg.setAttribute("width", width);
    ui.dots = layers.map((group, l) => {
      const middle = EDGE.left + (l + 0.5) * column;
      const places = Array.from({ length: ui.data.shared.shown }, (_, unit) => ({
        cx: (middle + (unit % 2 ? 1 : -1) * (ui.radius + 0.8)).toFixed(1),
        cy: EDGE.top + EDGE.row * Math.floor(unit / 2),
      }));
      const socket = { class: "ie-opening-socket", r: 1.2 };
      const sockets = places.map((place) => shape("circle", { ...place, ...socket }));
      const dots = places.map((place) => shape("circle", place));
      group.style.transitionDelay = `${l * STEP}ms`; // which its dots inherit
      group.replaceChildren(...sockets, ...dots);
      return dots;
    });
    drawDots(ui);
  });
}

/** Show what the units answer to the digit: the area of a dot is the activation. */
function drawDots(ui) {
  ui.dots?.forEach((dots, l) => {
    const codes = ui.units[l];
    dots.forEach((dot, unit) => {
      const value = (Number(codes.slice(2 * unit, 2 * unit + 2)) - 50) / 49;
      dot.setAttribute("r", (ui.radius * Math.sqrt(Math.abs(value))).toFixed(1));
      dot.setAttribute("class", `ie-opening-${value < 0 ? "negative" : "positive"}`);
    });
  });
}

function build(ui) {
  const sample = (kind) => shape("circle", { class: `ie-opening-${kind}`, cx: 13, cy: 6, r: 5 });
  const keys = ["positive", "negative"].map((kind) => legend(sample(kind), kind));
  const title = element("span", { class: "ie-chart-title" }, "Activations of one net, layer by layer");
  const box = element("figure", { class: "ie-chart ie-wide" }, element("figcaption", {}, title, ...keys));
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
}

/** What the numbers mean, in a sentence. */
function tell(one) {
  const [rms, across] = [one.rms.mid.at(-1), one.across.mid.at(-1)];
  const [first, last] = [number(one.rms.mid[0], 2), number(rms, 2)];
  const least = "less than 1e−13";
  const told = `across the test digits its units vary by ${across === 0 ? least : number(across, 2)}`;
  if (one.rms.mid[0] === 0) return "All layers are dark: every unit answers 0 to every digit.";
  if (rms < 1e-3)
    return `The layers go dark: the RMS activation falls from ${first} in layer 1 to ` +
      `${rms === 0 ? least : last} in layer ${DEPTH}, and ${told}.`;
  if (across < 0.01 * rms)
    return `Lit but blind: layer ${DEPTH} answers the same to every digit; ${told}, with an RMS ` +
      `activation of ${last}.`;
  if (rms > 100)
    return `The layers explode: the RMS activation grows from ${first} in layer 1 to ` +
      `${last} in layer ${DEPTH}.`;
  if (one.saturated > 0.5)
    return `Layer ${DEPTH} still tells the digits apart (${told}), but ` +
      `${Math.round(100 * one.saturated)}% of its activations are saturated.`;
  return `The digits get through: in layer ${DEPTH} the RMS activation is ${last}, and ${told}.`;
}

function update(ui, read, one) {
  const digit = read("digit");
  const [weights, activation] = [ui.text("weights"), ui.text("activation")];
  ui.units = one.units[digit];
  ui.drawDigit(ui.data.shared.digits[digit]);
  drawDots(ui);
  ui.svg.setAttribute(
    "aria-label",
    `${ui.data.shared.shown} units in each of ${DEPTH} layers of a ${activation} net, ` +
      `weights ${weights}, with the digit ${digit} as input`,
  );
  return `${activation}, ${weights}. ${tell(one)}`;
}

const note =
  "Dots: 16 of the 64 units of each layer of one untrained net; the area is the activation, full at 1 (ReLU: 3 " +
  "or more). Chart: the spread across inputs over 359 digits, the median of 20 nets with a band from 5% to " +
  "95%; less than 1e−13 counts as 0 and stands at the edge.";

export default explorer({ build, update, note, room: [3, 6] });
