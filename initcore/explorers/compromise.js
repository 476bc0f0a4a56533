// The compromise: what each mode keeps of the signal and of the gradient.

const CALLED = {
  fan_in: "fan_in",
  fan_out: "fan_out",
  fan_avg: "Glorot's fan_avg",
  fan_geo_avg: "The geometric mean",
};

function build(ui) {
  ui.units = element("p", { class: "ie-compromise-units" });
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

/** Whether a prediction stays at 1: in every layer, at its two ends only, or not at all. */
function kept(theory) {
  const near = (value) => Math.abs(Math.log(value)) < 0.05;
  if (theory.every(near)) return "everywhere";
  return near(theory[0]) && near(theory.at(-1)) ? "at the ends" : "no";
}

/** What the mode keeps, in words. */
function verdict(signal, gradient) {
  const [forward, backward] = [kept(signal), kept(gradient)];
  if (forward === "everywhere" && backward === "everywhere") return "It keeps both, in every layer";
  const between = (way) => `the ${way} from end to end, and not in between`;
  if (forward === "at the ends" && backward === "at the ends")
    return "It keeps both from end to end, and neither in between";
  if (forward === "everywhere")
    return `It keeps the signal in every layer, ${backward === "no" ? "not the gradient" : between("gradient")}`;
  if (backward === "everywhere")
    return `It keeps the gradient in every layer, ${forward === "no" ? "not the signal" : between("signal")}`;
  const lost = signal.at(-1) < 1 && gradient[0] < 1;
  return lost ? "It loses some of both" : "It keeps neither: one grows as the other shrinks";
}

function update(ui, read, one) {
  const mode = read("mode");
  ui.units.textContent = `Units by layer: ${one.widths.join(", ")}`;
  const { signal, gradient } = one[mode];
  const square = read("first") === read("second") ? " All layers are square, and all modes are the same." : "";
  return (
    `${CALLED[mode]}: from end to end the signal's mean square is multiplied by ` +
    `${number(signal.mid.at(-1))} (theory ${number(signal.theory.at(-1))}), the gradient's by ` +
    `${number(gradient.mid[0])} (theory ${number(gradient.theory[0])}). ` +
    `${verdict(signal.theory, gradient.theory)}.${square}`
  );
}

const note =
  "Markers: the median of 20 linear nets, with a band from 5% to 95%. Lines: the exact average, a " +
  "product of fan_in Var(w) forward and of fan_out Var(w) back. The dotted line is 1: nothing lost.";

export default explorer({ build, update, note, room: [4.5, 10.5] });
