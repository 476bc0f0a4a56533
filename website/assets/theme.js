// What the theme's behaviour leaves wanting. No module: those do not load from a folder (file://).
{
  // Paper is white: a page printed from the dark theme is set in light colours meanwhile.
  const root = document.documentElement;
  const paper = matchMedia("print");
  let onScreen = root.dataset.theme;

  paper.addEventListener("change", ({ matches }) => {
    if (matches) onScreen = root.dataset.theme;
    root.dataset.theme = matches ? "light" : onScreen;
  });

  // What the theme's buttons do, which stood as code in their attributes.
  const does = { print: () => print(), "full-screen": () => toggleFullScreen() };
  for (const button of document.querySelectorAll("[data-does]"))
    button.addEventListener("click", does[button.dataset.does]);

  // So does the button above a page that was searched for, which Sphinx adds with code in its link.
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".highlight-link a")) return;
    event.preventDefault();
    SphinxHighlight.hideSearchWords();
  });

  // A menu that is closed gives the focus back to the button that opened it.
  for (const name of ["primary", "secondary"]) {
    const menu = document.getElementById(`pst-${name}-sidebar-modal`);
    const button = document.querySelector(`button.${name}-toggle`);
    menu?.addEventListener("close", () => button?.focus());
  }

  // The width of a formula on a line of its own, from which course.css sets it smaller where it is
  // wider than its place.
  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    for (const formula of window.MathJax?.startup?.document?.math ?? []) {
      if (!formula.display) continue;
      const { w } = MathJax.startup.output.getBBox(formula, MathJax.startup.document);
      const { style } = formula.typesetRoot;
      style.setProperty("--size", style.fontSize);
      style.setProperty("--ems", w);
    }
  });
}
