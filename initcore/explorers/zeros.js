// Which zero is fatal: units, rank and accuracy over training, from one start of the blocks.

const UNITS = 16;

function build(ui) {
  const { steps, linear } = ui.data.shared;
  ui.places = steps.map((_, i) => i); // the steps stand at equal distances
  ui.level = { x: [-0.4, steps.length - 0.6], y: [linear, linear] };
  const x = {
    label: "training step",
    domain: [-0.4, steps.length - 0.6],
    ticks: ui.places,
    text: (place) => String(steps[place]),
  };
  const now = { key: "now", label: "this step", kind: "line", colour: "ink" };
  ui.units = ui.chart({
    title: "Hidden units",
    x,
    y: { label: "units", domain: [0, UNITS + 1], ticks: [0, 4, 8, 12, 16] },
    series: [
      now,
      { key: "distinct units", label: "distinct", kind: "points", colour: 0 },
      { key: "effective rank", label: "effective rank", kind: "points", colour: 1 },
    ],
  });
  ui.accuracy = ui.chart({
    title: "Test accuracy",
    x,
    y: { label: "accuracy", domain: [0, 1] },
    level: 0.1,
    series: [
      now,
      { key: "linear", label: "no hidden layer", kind: "line", colour: 3, dash: "7 3" },
      { key: "test accuracy", label: "accuracy", kind: "points", colour: 2 },
    ],
  });
}

function update(ui, read, one) {
  const { steps, reasons } = ui.data.shared;
  const place = steps.indexOf(read("step"));
  const over = (series) => measured(ui.places, series);
  const now = (top) => ({ x: [place, place], y: [0, top] });
  ui.units.draw({
    now: now(UNITS + 1),
    "distinct units": over(one.units),
    "effective rank": over(one.rank),
  });
  ui.accuracy.draw({ now: now(1), linear: ui.level, "test accuracy": over(one.accuracy) });
  const [units, rank, accuracy] = [one.units, one.rank, one.accuracy].map(({ mid }) => mid);
  const says =
    `${place ? `After step ${steps[place]}` : "Before training"}: ${units[place]} distinct ` +
    `${units[place] === 1 ? "unit" : "units"} of ${UNITS}, effective rank ${rank[place].toFixed(1)}, ` +
    `test accuracy ${accuracy[place].toFixed(2)}. ${reasons[one.reason]}`;
  return { says };
}

const note =
  "Markers: the median of 8 nets, with a band from 5% to 95%. Effective rank: of the first weights. Dashed: a " +
  "linear classifier after the same training. Dotted: guessing among ten digits. The steps are not to scale.";

export default explorer({ build, update, note, room: [5.2, 11] });
