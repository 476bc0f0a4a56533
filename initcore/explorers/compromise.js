// The compromise: what each mode keeps of the signal and of the gradient.

// one axis for both ways and all modes, so that they can be compared
const holds = ["signal", "gradient"];
const y = { label: "mean square / at its start", log: true, least: [-1, 1], over: "mode", holds };
const chart = (title, key, colour) => ({
  title,
  x: { label: "layer (0: the input)", margin: 0.3 },
  y,
  level: 1,
  series: pair(key, { theory: "theory", label: "measured", colour, dash: colour ? "7 3" : "" }),
});
const charts = [
  chart("Signal: read to the right", "signal", 0),
  chart("Gradient: read to the left", "gradient", 1),
];

function update(ui, read, one) {
  const { signal, gradient } = one[read("mode")];
  const square = read("first") === read("second") ? " All layers are square, and all modes are the same." : "";
  return (
    `${ui.text("mode").replace("geo", "The geo")} with ${one.widths.join(", ")} units: from end to end ` +
    `the signal's mean square is multiplied by ${number(signal.mid.at(-1))} (theory ` +
    `${number(signal.theory.at(-1))}), the gradient's by ${number(gradient.mid[0])} (theory ` +
    `${number(gradient.theory[0])}).${square}`
  );
}

const note =
  "Markers: the median of 20 linear nets, with a band from 5% to 95%. Lines: the exact average, a " +
  "product of fan_in Var(w) forward and of fan_out Var(w) back. The dotted line is 1: nothing lost.";

export default explorer({ charts, update, note, room: [4.5, 10.5] });
