// The residual stream: its mean square, block by block, for one scale of the branches.

const chart = {
  title: "Mean square of the stream, over that of the input",
  x: { label: "block" },
  y: { label: "q / q₀", log: true, least: [-1, 1], floor: 0.5 },
  level: Math.E,
  height: 300,
  series: [
    { key: "exact mean", label: "exact mean", kind: "line", colour: 0 },
    { key: "mean square", label: "50 nets: median, 5% to 95%", colour: 0 },
  ],
};

/** The reason, and where the exact mean ends: by scale, without and with normalisation. */
const because = (blocks, exact) => ({
  "1": [
    `Each branch adds as much as is there: the exact mean doubles, up to 2^${blocks} = ${exact}.`,
    `Each branch adds the same 1, so the exact mean ends at 1 + ${blocks} = ${exact}: a sum, not a power.`,
  ],
  "1/sqrt(L)": [
    `Each branch adds a share 1/L of what is there: the exact mean ends at (1 + 1/L)^L = ${exact}, ` +
      "below e = 2.718, whatever L is.",
    "Each branch adds 1/L: the exact mean ends at 2, however many blocks there are.",
  ],
  "1/L": [
    `Each branch adds a share 1/L² of what is there: the exact mean ends at (1 + 1/L²)^L = ${exact}, ` +
      "near 1, the more blocks the nearer.",
    `Each branch adds 1/L²: the exact mean ends at 1 + 1/L = ${exact}.`,
  ],
  "0": Array(2).fill("The branches add nothing: every block is the identity."),
});

function update(ui, read, one) {
  const [scale, normalise, blocks] = [read("scale"), read("normalise"), read("blocks")];
  return (
    `${blocks} blocks, ${normalise ? "normalised branches" : "branches"} times ${ui.text("scale").split(" ")[0]}: ` +
    `the mean square ${scale === "0" ? "stays" : "goes from 1 to"} ${number(one.mid.at(-1), 2)}. ` +
    because(blocks, number(one.theory.at(-1), 5))[scale][Number(normalise)]
  );
}

const note =
  "Markers: the median of 50 nets before training, with a band from 5% to 95%. Line: the exact mean over all " +
  "weights; a few nets grow far above it, so the median is lower. Dotted: e. The axis follows the stream.";

export default explorer({ charts: [chart], update, note, room: [5.2, 9.5] });
