// The residual stream: its mean square, block by block, for one scale of the branches.

function build(ui) {
  ui.chart({
    title: "Mean square of the stream, over that of the input",
    x: { label: "block" },
    y: { label: "q / q₀", log: true, least: [-1, 1], floor: 0.5 },
    level: Math.E,
    height: 300,
    series: [
      { key: "exact mean", label: "exact mean", kind: "line", colour: 0 },
      { key: "mean square", label: "50 nets: median, 5% to 95%", colour: 0 },
    ],
  });
}

/** What the numbers say: the reason, and where the exact mean ends. */
function because(scale, normalise, blocks, end) {
  const exact = number(end, 5);
  if (scale === "0") return "The branches add nothing: every block is the identity.";
  if (scale === "1")
    return normalise
      ? `Each branch adds the same 1, so the exact mean ends at 1 + ${blocks} = ${exact}: a sum, not a power.`
      : `Each branch adds as much as is there: the exact mean doubles, up to 2^${blocks} = ${exact}.`;
  const added = scale === "1/L" ? "1/L²" : "1/L";
  if (normalise) {
    const sum = scale === "1/L" ? "1 + 1/L" : "2, however many blocks there are";
    return `Each branch adds ${added}: the exact mean ends at ${sum}${scale === "1/L" ? ` = ${exact}` : ""}.`;
  }
  const limit = scale === "1/L" ? "1, the more blocks the nearer" : "below e = 2.718, whatever L is";
  return (
    `Each branch adds a share ${added} of what is there: the exact mean ends at ` +
    `(1 + ${added})^L = ${exact}, ${scale === "1/L" ? "near " : ""}${limit}.`
  );
}

function update(ui, read, one) {
  const [scale, normalise, blocks] = [read("scale"), read("normalise"), read("blocks")];
  return (
    `${blocks} blocks, ${normalise ? "normalised branches" : "branches"} times ${ui.text("scale").split(" ")[0]}: ` +
    `the mean square ${scale === "0" ? "stays" : "goes from 1 to"} ${number(one.mid.at(-1), 2)}. ` +
    because(scale, normalise, blocks, one.theory.at(-1))
  );
}

const note =
  "Markers: the median of 50 nets before training, with a band from 5% to 95%. Line: the exact mean over all " +
  "weights; a few nets grow far above it, so the median is lower. Dotted: e. The axis follows the stream.";

export default explorer({ build, update, note, room: [5.2, 9.5] });
