// The tokens of a transformer before training: how alike they are, and the gradient of each block.

const x = { label: "block" };
const charts = [
  {
    title: "Cosine between two tokens of a digit",
    x,
    y: { label: "cosine", domain: [-0.1, 1], ticks: [0, 0.25, 0.5, 0.75, 1] },
    series: [
      { key: "cosine, theory", label: "theory: uniform attention", kind: "line", colour: 0 },
      { key: "cosine between tokens", label: "20 nets: median, 5% to 95%", colour: 0 },
    ],
  },
  {
    title: "Gradient of each MLP's last weights, over that of the last block",
    x,
    y: { label: "norm of the gradient, last = 1", log: true, least: [-1, 1] },
    level: 1,
    series: [{ key: "gradient", label: "20 nets: median, 5% to 95%", colour: 1 }],
  },
];

/** What happened to the tokens, and to the gradients. */
function update(ui, read, one) {
  const [cosine, gradient] = [one.cosine.mid.at(-1), one.gradient.mid[0]];
  const alike = cosine > 0.9 ? "are nearly one and the same" : cosine > 0.5 ? "have grown alike" : "have stayed apart";
  const where = gradient > 1.5 ? "larger" : gradient < 1 / 1.5 ? "smaller" : "about as large";
  return (
    `${read("blocks")} blocks, ${read("place")}-norm, last weights times ${ui.text("scale").split(" ")[0]}: ` +
    `after the last block the tokens of a digit ${alike} (cosine ${number(cosine, 2)}). ` +
    `The gradient of the first block is ${where}${where === "about as large" ? " as" : " than"} that of the ` +
    `last: times ${number(gradient, 2)}.`
  );
}

const note =
  "Markers: the median of 20 nets before training, on 32 digits of eight tokens each, with a band from 5% to 95%. " +
  "Line: the recursion of the text. Dotted: the gradient of the last block.";

export default explorer({ charts, update, note, room: [5.2, 8.5] });
