// What Sphinx's search leaves to a site (html_search_scorer): how the results are ranked, and here
// also which part of a page stands below its link. Sphinx puts it into _static/language_data.js.

// Words of a question that do not say what it is about.
stopwords.push(..."can do does how i my should vs what when which why you".split(" "));

// A term of the glossary counts from 50 to 100, a heading found by its name up to 16.
var Scorer = {
  objNameMatch: 10,
  objPartialMatch: 2,
  objPrio: { 0: 1, 1: 1, 2: 0 },
  objPrioDefault: 0,
  title: 15,

  /** Rank a page by the heading that holds most of the words, then chapters above the API. */
  score: (result) => {
    const [page, title, anchor, description, score] = result;
    if (anchor.startsWith("#term-")) result[1] = nameOfPart(title, anchor);
    if (anchor || description) return score;
    const query = new URLSearchParams(location.search).get("q") ?? "";
    const words = [...Search._parseQuery(query)[1]];
    const { docnames, terms, titleterms } = Search._index;
    const file = docnames.indexOf(page);
    // Sphinx lets a page pass that has one word of two, if the other one is short.
    const places = words.map((word) => [terms[word] ?? [], titleterms[word] ?? []].flat());
    const missing = places.filter((files) => files.length && !files.includes(file));
    const best = bestHeading(file, words);
    if (best.share === 1 && best.id) {
      result[2] = `#${best.id}`;
      result[1] = nameOfPart(title, result[2], best.heading);
    }
    // Of the pages where one looks things up a heading counts half.
    if (/^pages\/(api|claims|references|teaching|deployment)/.test(page)) best.score /= 2;
    else best.score += page.startsWith("chapters/") ? 4 : 3;
    return best.score - 10 * missing.length;
  },
};

// All pages are about initialization: beside another word it need not be looked for.
const parseQuery = Search._parseQuery;
Search._parseQuery = (query) => {
  const parsed = parseQuery(query);
  const telling = [...parsed[1]].filter((word) => !/^init/.test(word));
  if (telling.length) parsed[1] = new Set(telling);
  return parsed;
};

/** Return what the link to a part of a page shows. */
function nameOfPart(title, anchor, heading) {
  const [, term] = anchor.match(/^#term-(.*)/) ?? [];
  return term ? `${title}: ${term.replaceAll("-", " ")}` : `${title} > ${heading}`;
}

/** Return the heading or term of a page, given by its number, with the largest share of the stems. */
function bestHeading(file, words) {
  const stemmer = new Stemmer();
  const { alltitles, indexentries } = Search._index;
  let best = { share: 0, score: 0 };
  for (const [heading, places] of [alltitles, indexentries].flatMap(Object.entries))
    for (const [where, id, isMain] of places) {
      if (where !== file || isMain === false) continue; // a name of the API
      const stems = splitQuery(heading.toLowerCase()).map((word) => stemmer.stemWord(word));
      const holds = (word) => stems.some((s) => (word.length > 2 ? s.startsWith(word) : s === word));
      const share = words.filter(holds).length / Math.max(words.length, 1);
      if (isMain && share < 1) continue; // half a term
      const score = share * (id ? 10 : 14);
      if (score > best.score) best = { heading, id, share, score };
    }
  return best;
}

/** Return the text that a summary is cut from: no headings, no code, no answers, no TeX. */
Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const found = anchor && page.getElementById(decodeURIComponent(anchor.slice(1)));
  let part = found || page.querySelector("article");
  while (part?.matches("dt")) part = part.nextElementSibling; // what a term means
  if (!part) return "";
  for (const formula of part.querySelectorAll(".math")) {
    const tex = formula.textContent.replace(/^\\[([]|\\[)\]]$/g, "").trim();
    formula.textContent = /[\\{]/.test(tex) ? "…" : tex;
  }
  const left = "h1, h2, h3, .headerlink, .launch, .cell, details, pre, iframe, script, style";
  for (const element of part.querySelectorAll(left)) element.remove();
  for (const cell of part.querySelectorAll("td, th")) cell.append(" ");
  return part.textContent.trim().replace(/\s+/g, " ");
};
