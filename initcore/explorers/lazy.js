// Lazy and rich: accuracy and movement of the weights over the scale of the start.

const x = { label: "scale of the start, times He's", domain: [0.2, 5], ticks: [0.25, 0.5, 1, 2, 4], log: true };
const charts = [
  {
    title: "Digits that are answered right",
    x,
    y: { label: "accuracy", domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    series: [
      { key: "training", label: "training", colour: 0 },
      { key: "test", label: "test", colour: 1 },
    ],
  },
  {
    title: "How far the weights moved, over their length",
    x,
    y: { label: "‖ΔW‖ / ‖W₀‖", log: true, least: [-3, 0] },
    series: [{ key: "moved", label: "8 nets", colour: 2 }],
  },
];

function update(ui, read, { training, test, moved }) {
  const layers = read("layers");
  const ends = ({ mid }, digits = 2) => `${number(mid[0], digits)} to ${number(mid.at(-1), digits)}`;
  const late = training.mid.at(-1) < 0.97 ? " The largest start has not fitted its digits by then, so its solution cannot be judged yet." : "";
  const left = read("subtract")
    ? "Without the start's answers a large start comes close to its linearisation."
    : "Of a large start's random answers something stays wherever no training digit corrects it.";
  return (
    `${layers} hidden layer${layers > 1 ? "s" : ""} of ${read("width")}, from a quarter of He's scale to four times it: the ` +
    `training accuracy goes from ${ends(training)}, the test accuracy from ${ends(test)}, and the weights ` +
    `move by ${ends(moved)} of their length.${late} ${left}`
  );
}

const note =
  "Markers: the median of 8 ReLU nets after 400 steps on 200 digits, with a band from 5% to 95%. Above " +
  "scale 1 the rate is divided by the scale to the power 2 L, for L hidden layers.";

export default explorer({ charts, update, note, room: [6.7, 13] });
