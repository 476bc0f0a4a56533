// The compromise: what each mode keeps of the signal and of the gradient.

function build(ui) {
  ui.units = element("p", { class: "ie-compromise-units ie-wide" });
  ui.figure.append(ui.units);
  // one axis for both ways and all modes, so that they can be compared
  const y = { label: "mean square / at its start", log: true, least: [-1, 1], over: "mode" };
  const chart = (title, key, colour) =>
    ui.chart({
      title,
      x: { label: "layer (0: the input)", margin: 0.3 },
      y: { ...y, holds: ["signal", "gradient"] },
      level: 1,
      series: pair(key, { theory: "theory", label: "measured", colour, dash: colour ? "7 3" : "" }),
    });
  chart("Signal: read to the right", "signal", 0);
  chart("Gradient: read to the left", "gradient", 1);
}

/** What the mode keeps, in words: a prediction stays at 1 in every layer, at both ends only, or not. */
function verdict(signal, gradient) {
  const near = (value) => Math.abs(Math.log(value)) < 0.05;
  const ways = { signal, gradient };
  const whole = Object.keys(ways).filter((way) => ways[way].every(near));
  const ends = Object.keys(ways).filter((way) => near(ways[way][0]) && near(ways[way].at(-1)));
  if (whole.length === 2) return "It keeps both, in every layer";
  if (whole.length === 1) {
    const other = whole[0] === "signal" ? "gradient" : "signal";
    const rest = ends.includes(other) ? `the ${other} from end to end, and not in between` : `not the ${other}`;
    return `It keeps the ${whole[0]} in every layer, ${rest}`;
  }
  if (ends.length === 2) return "It keeps both from end to end, and neither in between";
  const lost = signal.at(-1) < 1 && gradient[0] < 1;
  return lost ? "It loses some of both" : "It keeps neither: one grows as the other shrinks";
}

function update(ui, read, one) {
  const mode = read("mode");
  ui.units.textContent = `Units by layer: ${one.widths.join(", ")}`;
  const { signal, gradient } = one[mode];
  const square = read("first") === read("second") ? " All layers are square, and all modes are the same." : "";
  return (
    `${ui.text("mode").replace("geo", "The geo")}: from end to end the signal's mean square is multiplied by ` +
    `${number(signal.mid.at(-1))} (theory ${number(signal.theory.at(-1))}), the gradient's by ` +
    `${number(gradient.mid[0])} (theory ${number(gradient.theory[0])}). ` +
    `${verdict(signal.theory, gradient.theory)}.${square}`
  );
}

const note =
  "Markers: the median of 20 linear nets, with a band from 5% to 95%. Lines: the exact average, a " +
  "product of fan_in Var(w) forward and of fan_out Var(w) back. The dotted line is 1: nothing lost.";

export default explorer({ build, update, note, room: [4.5, 10.5] });
