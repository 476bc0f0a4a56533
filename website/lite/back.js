// The way back: from a chapter's notebook, opened in the browser's kernel, to the chapter's page.
const notebook = new URLSearchParams(location.search).get("path") ?? "";
const chapter = notebook.match(/^chapters\/([\w-]+)\.ipynb$/)?.[1];
const link = document.createElement("a");
link.className = "back-to-the-course";
// this script is in lite/, one folder below the course
link.href = new URL(chapter ? `../chapters/${chapter}.html` : "../index.html", document.currentScript.src);
link.textContent = chapter ? "← Back to the chapter" : "← Back to the course";
document.body.append(link);
