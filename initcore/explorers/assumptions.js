// The assumption breaker: the prediction of the variance derivation against nets that break it.

// A difference that counts: well outside the scatter of a median over 40 nets.
const FACTOR = 1.15;

const differs = (a, b) => Math.abs(Math.log(a / b)) > Math.log(FACTOR);

const chart = {
  title: "Mean square of the pre-activations",
  x: { label: "layer (0: the input)", margin: 0.3 },
  y: { label: "q / q₀", log: true, least: [-1, 1] },
  height: 270,
  series: [
    { key: "predicted", label: "predicted: (n Var(w))ˡ = 1", kind: "line", colour: 1, dash: "7 3" },
    { key: "q / q0", label: "measured", colour: 0 },
  ],
};

function update(ui, read, { mid }) {
  const controls = ui.model.get("controls");
  const broken = controls.filter(({ key }) => read(key));
  const end = `q in layer 6 is ${number(mid.at(-1))} times its prediction.`;
  if (!broken.length) return `Nothing is broken, and ${end}`;
  const off = mid.findIndex((value) => differs(value, 1));
  const found = `The formula ${off < 0 ? "holds" : `fails from layer ${off} on`}: ${end}`;
  if (broken.length === 1) return found;
  // What repairing one of them would change: in all layers, as the effect may be in one only.
  const [costly, harmless] = [[], []];
  for (const { key: name, label } of broken) {
    const left = controls.map(({ key }) => key !== name && read(key));
    const repaired = ui.data.cases[left.join(" ")].mid;
    const [called] = label.split(":");
    if (!repaired.some((value, layer) => differs(mid[layer], value))) harmless.push(called);
    else costly.push(`without ${called}, ${number(repaired.at(-1))}`);
  }
  const better = costly.length ? ` Repair one, and it is: ${costly.join("; ")}.` : "";
  return found + better + (harmless.length ? ` Makes no difference here: ${harmless.join("; ")}.` : "");
}

const note =
  "Markers: the median of 40 nets of 100 units, with a band from 5% to 95%. Dashed: the derivation's " +
  "formula. The vertical axis changes with what is broken.";

export default explorer({ charts: [chart], update, note, room: [4.5, 10] });
