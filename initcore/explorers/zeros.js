// Which zero is fatal: units, rank and accuracy over training, from one start of the blocks.

const UNITS = 16;

function build(ui) {
  const x = { label: "training step", margin: 0.4, even: true };
  const { steps, linear } = ui.data.shared;
  const now = (top) => ({
    ...{ key: "now", label: "this step", kind: "line", colour: "ink" },
    at: (read) => ({ x: Array(2).fill(steps.indexOf(read("step"))), y: [0, top] }),
  });
  ui.chart({
    title: "Hidden units",
    x,
    y: { label: "units", domain: [0, UNITS + 1], ticks: [0, 4, 8, 12, 16] },
    series: [
      now(UNITS + 1),
      { key: "distinct units", label: "distinct", colour: 0 },
      { key: "effective rank", label: "effective rank", colour: 1 },
    ],
  });
  ui.chart({
    title: "Test accuracy",
    x,
    y: { label: "accuracy", domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    level: 0.1,
    series: [
      now(1),
      { key: "linear", label: "no hidden layer", kind: "line", flat: linear, colour: 3, dash: "7 3" },
      { key: "test accuracy", label: "accuracy", colour: 2 },
    ],
  });
}

function update(ui, read, one) {
  const { steps, reasons } = ui.data.shared;
  const place = steps.indexOf(read("step"));
  const [units, rank, accuracy] = [one.units, one.rank, one.accuracy].map(({ mid }) => mid);
  return (
    `${place ? `After step ${steps[place]}` : "Before training"}: ${units[place]} distinct ` +
    `${units[place] === 1 ? "unit" : "units"} of ${UNITS}, effective rank ${rank[place].toFixed(1)}, ` +
    `test accuracy ${accuracy[place].toFixed(2)}. ${reasons[one.reason]}`
  );
}

const note =
  "Markers: the median of 8 nets, with a band from 5% to 95%. Effective rank: of the first weights. Dashed: a " +
  "linear classifier after the same training. Dotted: guessing among ten digits. The steps are not to scale.";

export default explorer({ build, update, note, room: [5.2, 11] });
