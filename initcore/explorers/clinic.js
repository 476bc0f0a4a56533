// A patient of the clinic: its scales and its table, a guess that is locked in, and the verdict.

// What the table shows of each fault: in all patients that have it, and in no others.
const SIGNS = {
  nothing: "forward begins near 1 and stays within its band, as backward does, and the cosine is below 1",
  small: "forward is below its band in layer 1, and less than half as large in each further hidden row",
  large: "forward is above its band in every hidden row, and the cosine stays below 1",
  one: "forward is below its band from one hidden row on, and backward in all rows above that one",
  output: "forward is above its band in the last row alone",
  equal: "a column called distinct appears, and counts 1 in every hidden row",
  biases: "forward has one size in all hidden rows, that of the biases, and the cosine comes to 1",
  pixels: "forward is above a hundred in layer 1, and its band lies there as well",
  alike: "the cosine is 1 from the first row on, with forward within its band",
};

function build(ui) {
  const chart = (key, title, colour, least) =>
    ui.chart({
      title,
      x: { label: "layer" },
      y: { label: "root mean square", log: true, least },
      height: 210,
      series: [{ key, label: "measured, and the band of theory", colour }],
    });
  chart("forward", "Forward: the sums", 0, [-1, 1]);
  chart("backward", "Backward: the gradient by the sums", 1, [-5, -2]);
  const [folded, write] = makeTable("The table that diagnose prints");
  folded.open = true; // what is shown of it has no summary to close it with
  const answers = element("div", { class: "ie-controls" }, ...[...ui.panel.children].slice(3));
  const verdict = element("details", {}, element("summary", {}, "The verdict of diagnose"), element("div"));
  ui.figure.after(element("div", { class: "ie-numbers" }, folded.lastChild));
  ui.figure.parentNode.querySelector(".ie-note").after(answers);
  verdict.style.overflowWrap = "anywhere"; // a remedy is a long line
  answers.nextElementSibling.after(verdict); // behind what is said of the guess
  const [guess, lock] = answers.querySelectorAll("select, input");
  Object.assign(ui, { write, verdict, guess, lock });
}

function update(ui, read, one) {
  const before = ui.one;
  ui.one = one;
  if (before && before !== one) {
    ui.verdict.open = false;
    for (const [key, value] of [["guess", "open"], ["locked", false]]) ui.model.set(key, value);
    ui.model.save_changes();
  }
  ui.lock.disabled = read("guess") === "open";
  ui.guess.disabled = read("locked") && !ui.lock.disabled;
  const layers = one.forward.mid.map((_, i) => i + 1);
  const banded = ({ low, mid, high }) =>
    mid.map((value, i) => number(value, 2) + (low[i] < high[i] ? ` (${number(low[i], 2)}–${number(high[i], 2)})` : ""));
  const cells = Object.entries(one.table).map(([head, texts]) => [head, texts ?? banded(one[head])]);
  ui.write([["layer", layers], ...cells]);
  ui.verdict.lastChild.replaceChildren(...one.verdict.map((text) => element("p", {}, text)));
  const [who, loss] = [`Patient ${read("patient")}, ${ui.text("activation")}`, number(one.loss)];
  if (!ui.guess.disabled)
    return `${who}, ${layers.length} layers: the first loss is ${loss}, where guessing has 2.3. What is wrong?`;
  return `${read("guess") === one.fault ? "Right" : "No"}. With ${ui.text("guess")}, ${SIGNS[read("guess")]}.`;
}

const note =
  "One net before training. Shaded, and in parentheses: what theory expects (backward from the output on). As in " +
  "print, a column is there when it has something to say. What the weights look like is left out here.";

export default explorer({ build, update, note, room: [3, 6] });
