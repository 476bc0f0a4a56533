// Makes the live figures of a page work without a kernel: explorers.py put them there as
//
//   <div class="explorer" id="explorer-scale" data-name="scale" data-esm="HASH.js" …>a still</div>
//
// An anywidget's module needs only a model that it can read, write and listen to. This one keeps
// the state in the page. The module, its style and its data are files beside this one, asked for
// when the figure comes near the view. Nothing is evaluated and no other host is asked.

const here = (name) => new URL(name, import.meta.url).href;

const paragraph = (text) => Object.assign(document.createElement("p"), { textContent: text });

const load = async (name) => {
  const answer = await fetch(here(name));
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status}`);
  return answer.text();
};

/** A model as anywidget gives it to a module, as far as `kit.js` uses it, and no kernel behind it. */
function plainModel(values) {
  const events = new EventTarget();
  return {
    get: (key) => values[key],
    set(key, value) {
      if (Object.is(values[key], value)) return;
      values[key] = value;
      events.dispatchEvent(new Event(`change:${key}`));
    },
    on: (name, f) => events.addEventListener(name, f),
    off: (name, f) => events.removeEventListener(name, f),
    save_changes() {},
  };
}

/**
 * Set the controls as the address asks, ?sd=0.5&depth=10; return what it asks in vain. It is for
 * the figure that its hash names (#explorer-scale), and for all of the page if that names none.
 */
function readAddress(model, box) {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.matches(".explorer") && named !== box) return [];
  const asked = new URLSearchParams(location.search);
  const problems = [];
  for (const { key, values, label } of model.get("controls")) {
    if (!asked.has(key)) continue;
    const text = asked.get(key);
    const value = values.find((one) => String(one) === text || (text !== "" && one === Number(text)));
    if (value !== undefined) model.set(key, value);
    else problems.push(`The address asks for ${key}=${text}. ${label} can be ${values.join(", ")}.`);
  }
  return problems;
}

/** The address of this view, into the clipboard and the address bar; return what to tell. */
async function share(model, id) {
  const address = new URL(location.href);
  for (const { key } of model.get("controls")) address.searchParams.set(key, model.get(key));
  address.hash = id; // a name, and never key=value: the theme takes it for a selector
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address.href);
    return "The link is copied.";
  } catch {
    return "The link is in the address bar.";
  }
}

async function mount(box) {
  const { name, esm, css, state } = box.dataset;
  const live = document.createElement("div");
  live.className = "explorer-live";
  try {
    const [code, values, style] = await Promise.all([import(here(esm)), load(state), load(css)]);
    const sheet = new CSSStyleSheet();
    await sheet.replace(style);
    document.adoptedStyleSheets.push(sheet);
    const model = plainModel(JSON.parse(values));
    model.share = () => share(model, box.id);
    live.append(...readAddress(model, box).map(paragraph));
    box.append(live);
    box.classList.add("is-live"); // the style sheet hides the still, and shows it in print
    code.default.render({ model, el: live });
  } catch (error) {
    live.remove();
    box.classList.remove("is-live"); // the still stays
    const note = paragraph(
      `The live figure could not be loaded: ${error.message}; this is a still picture.`,
    );
    note.className = "explorer-note";
    box.append(note);
    console.error(`The live figure ${name} does not work:`, error);
  }
}

if (document.documentElement.classList.contains("explorer-page")) {
  // a page of its own, without the theme's switch: as the reader's system is
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => (document.documentElement.dataset.theme = dark.matches ? "dark" : "light");
  dark.addEventListener("change", follow);
  follow();
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      mount(target);
    }
  },
  { rootMargin: "600px" },
);
document.querySelectorAll(".explorer[data-esm]").forEach((box) => near.observe(box));
