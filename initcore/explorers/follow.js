// The text that a cell printed below its figure, in step with the figure: behind kit.js in each module.

/** A number as Python prints it in a table: 0.0707, 1.2e-05, and 0.10 by the format ".2f". */
function printed(value, format = "") {
  if (typeof value !== "number") return value === null ? "nan" : String(value);
  const toEven = (text, places) => {
    // without the 5 of a tie, after an even digit: JavaScript would round up
    const tie = RegExp(`(\\.\\d{${places - 1}}[02468])50*(e|$)`);
    return Number(text.replace(tie, "$1$2"));
  };
  const places = format.match(/^\.(\d)f$/)?.[1];
  if (places) return toEven(value.toFixed(40), places).toFixed(places);
  const rounded = toEven(value.toExponential(40), 2).toExponential(2);
  const [digits, power] = rounded.split("e").map(Number);
  if (!value || (power >= -4 && power < 3)) return String(Number(rounded));
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/**
 * Let the text follow that the same cell printed below the figure, if it has columns of the table:
 * return a function that takes the table, and one that ends it. On a page (`model.share`)
 * paper shows the still picture of the start, and so the text as it was.
 */
function makeFollower(model, root) {
  const read = (key) => model.get(key);
  const heads = read("columns").map(([head]) => head);
  const paper = matchMedia("print");
  let box = null; // what holds the text: in JupyterLab it comes after the figure
  let [start, now, chosen] = ["", "", []];
  const named = (name) => (head) => RegExp(`^${head.replace(/\{\w+\}/, ".+")}$`).test(name);
  const show = () => now && (box.textContent = paper.matches && model.share ? start : now);
  const follow = (table) => {
    if (!box?.isConnected) {
      box = root.closest(".cell_output, .jp-OutputArea")?.querySelector("pre");
      [start, now] = [box?.textContent ?? "", ""];
      const names = start.split("\n")[0].trim().split(/ {2,}/);
      chosen = names.map((name) => (heads.includes(name) ? name : heads.find(named(name))));
    }
    if (!box || chosen.includes(undefined)) return;
    const columns = chosen.filter((head) => table.has(head)).map((head) => {
      const texts = table.get(head).map((value) => printed(value, read("formats")[head]));
      const cells = [fill(head, read), ...texts];
      const width = Math.max(...cells.map((cell) => cell.length));
      return cells.map((cell) => cell.padStart(width));
    });
    now = columns[0].map((_, row) => `${columns.map((cells) => cells[row]).join("  ")}\n`).join("");
    show();
  };
  paper.addEventListener("change", show);
  return [follow, () => paper.removeEventListener("change", show)];
}
