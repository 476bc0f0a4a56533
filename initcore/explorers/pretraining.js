// What each layer can still rebuild of a digit, with and without pretraining.

function build(ui) {
  const title = element("p", { class: "ie-chart-title ie-wide" }, "The digit, and what the layers rebuild");
  const heads = ["input", "layer 1", 2, 3, 4, 5].map((text) => element("span", {}, String(text)));
  const grid = element("div", { class: "ie-pretraining" }, title, ...heads);
  ui.rows = [0, 1].map(() => {
    const name = element("p", { class: "ie-pretraining-name ie-wide" });
    const pictures = heads.map(() => {
      const [pixels, draw] = makePixels(1);
      const about = { viewBox: "0 0 8 8", class: "ie-pretraining-picture", role: "img" };
      return { svg: shape("svg", about, ...pixels), draw };
    });
    grid.append(name, ...pictures.map(({ svg }) => svg));
    return { name, pictures };
  });
  ui.figure.append(grid);
  const mean = { key: "mean image", label: "mean image", kind: "line", colour: "ink", dash: "2 4" };
  ui.chart({
    title: "Squared error of the rebuilt test digits",
    x: { label: "hidden layer", margin: 0.3 },
    y: { label: "squared error an image", domain: [0, 5], ticks: [0, 1, 2, 3, 4, 5] },
    series: [
      { ...mean, flat: ui.data.shared["mean image"] },
      { key: "0.01 normal", label: "0.01 normal", colour: 1 },
      { key: "{stack}", label: "chosen start", colour: 0 },
    ],
  });
}

function update(ui, read, one) {
  const [stack, noise, digit] = [read("stack"), read("noise"), read("digit")];
  const { shared } = ui.data;
  const [chosen, without] = [one[noise], shared.without[noise]];
  const names = [stack, "0.01 normal, no pretraining"];
  [chosen, without].forEach((start, i) => {
    const { name, pictures } = ui.rows[i];
    const texts = [shared.digits[digit], ...start.pictures[digit]];
    name.textContent = names[i];
    pictures.forEach(({ svg, draw }, layer) => {
      draw(texts[layer]);
      const rebuilt = `rebuilt from layer ${layer}, ${names[i]}`;
      svg.setAttribute("aria-label", layer ? rebuilt : `the digit ${digit}`);
    });
  });
  const seen = noise === 0 ? "Without noise" : `With noise of standard deviation ${number(noise)}`;
  const last = (one) => number(one.mid[4], 2);
  const lost =
    noise === 0
      ? "A layer of small weights makes the differences tiny, and loses none of them."
      : without.mid[4] > 0.95 * shared["mean image"]
        ? "From layer 5 of the small weights nothing more can be read."
        : "";
  return (
    `${seen}, layer 5 of the start “${stack}” rebuilds a test digit up to an error of ${last(chosen)}, ` +
    `that of “0.01 normal” up to ${last(without)}; the mean image has ${number(shared["mean image"], 2)}. ${lost}`
  );
}

const note =
  "No label has been seen. For each layer the best linear map back to the pixels is fitted on the training digits, " +
  "for activations with this noise (those of tanh range over 2, of the sigmoids over 1). Pictures: one net and one draw of the noise, cut off at paper and ink. " +
  "Markers: the median of 8 nets over 359 test digits, with a band from 5% to 95%.";

export default explorer({ build, update, note });
