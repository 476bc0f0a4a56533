// The way back: from a chapter's notebook, opened in the browser's kernel, to the chapter's page.
const notebook = new URLSearchParams(location.search).get("path") ?? "";
const chapter = notebook.match(/^chapters\/([\w-]+)\.ipynb$/)?.[1];
const link = document.createElement("a");
// this script is in lite/, one folder below the course
link.href = new URL(chapter ? `../chapters/${chapter}.html` : "../index.html", document.currentScript.src);
link.textContent = chapter ? "← Back to the chapter" : "← Back to the course";
link.style = `position: fixed; z-index: 10000; right: 0.75rem; bottom: 0.75rem; padding: 0.3rem 0.8rem;
  border: 1px solid; border-radius: 4px; background: #fff; color: #0a5a80; font: 15px/1.5 system-ui`;
document.body.append(link);
