"""What the site's pages may load: a Content-Security-Policy, made from the built pages.

As a Sphinx extension it gives each page its policy in a ``<meta>``, which holds on every server and
for a folder of files, and writes ``content-security-policy.json`` into the site: the header for all
pages (under ``""``) and the one for the browser's kernel (under ``lite/``, see ``lite.py``).
``serve.py`` sends these. For other servers,

    python -m website.extensions.csp nginx|apache [FOLDER]

prints the lines of their settings. A script that stands in a page is allowed by its hash; code in
an attribute of a page ends the build, as no hash would allow it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website.extensions.book import rewrite_pages

FILE = "content-security-policy.json"
FOLDER = "_build/html"

#: The pages of the book: the site itself, and what the theme and MathJax are shown to need.
PAGES = {
    "default-src": ["'self'"],
    "script-src": ["'self'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
}

#: The browser's kernel, which is JupyterLite on Pyodide: another program, with needs of its own.
LITE = {**PAGES, "script-src": ["'self'", "'unsafe-eval'", "blob:"]}

SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
HANDLER = re.compile(r"""<[a-z][^<>]*?\s(on[a-z]+\s*=\s*["'][^"']*|href="javascript:[^"]*)""", re.I)
CHARSET = re.compile(r'<meta charset="[^"]*"\s*/?>')
META = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# On every page, with the page's own name: for a menu of versions, which this theme is not given.
NAME = re.compile(r"\s*<script>DOCUMENTATION_OPTIONS\.pagename = '[^']*';</script>")
# sphinx-thebe's, which `book.drop_thebe` leaves without a program to read them.
THEBE = re.compile(
    r'\s*<script type="text/x-thebe-config">.*?</script>|\s*<script>kernelName = \'\w*\'</script>',
    re.DOTALL,
)
SERVERS = {
    "nginx": """\
# in the block http
map $uri $course_policy {{
    default "{pages}";
    "~/lite/" "{lite}";
}}
# in the block location
add_header Content-Security-Policy $course_policy always;""",
    "apache": """\
# in .htaccess or the block Directory, with mod_headers and mod_setenvif
SetEnvIf Request_URI "/lite/" COURSE_LITE
Header always set Content-Security-Policy "{pages}" env=!COURSE_LITE
Header always set Content-Security-Policy "{lite}" env=COURSE_LITE""",
}


def inline_scripts(page: str) -> set[str]:
    """Return the sources that allow the scripts within a page: ``'sha256-…'``.

    Examples
    --------
    >>> inline_scripts("<script>go()</script><script src='a.js'></script>")
    {"'sha256-5KYv+PUboo5h+0+YAtGRPbwv5d/QxzHslP4YGnUaxRw='"}
    """
    found = set()
    for about, text in SCRIPT.findall(page):
        kind = re.search(r"""\btype=["']?([^"'\s>]+)""", about)
        runs = not kind or kind[1] in ("module", "text/javascript", "application/javascript")
        if runs and not re.search(r"\bsrc=", about):
            digest = hashlib.sha256(text.encode()).digest()
            found.add(f"'sha256-{base64.b64encode(digest).decode()}'")
    return found


def policy(directives: dict[str, list[str]], scripts: set[str]) -> str:
    """Return a policy in one line, with these sources of scripts as well."""
    every = {**directives, "script-src": [*directives["script-src"], *sorted(scripts)]}
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in every.items())


def harden(page: str) -> str:
    """Return a page with a policy of its own; doing so twice changes nothing.

    Raises
    ------
    ValueError
        If the page has code in an attribute.
    """
    page = META.sub("", THEBE.sub("", NAME.sub("", page)))
    if found := HANDLER.search(page):
        raise ValueError(f"code in an attribute, which no hash allows: {found[1]}")
    text = html.escape(policy(PAGES, inline_scripts(page)), quote=False)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{text}">'
    # after the encoding, which must stand at the very beginning
    return CHARSET.sub(lambda charset: charset[0] + meta, page, count=1)


def write(site: Path, prefix: str, text: str) -> None:
    """Write the policy of the paths that begin with a prefix into the site's file."""
    path = site / FILE
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**known, prefix: text}, indent=1) + "\n", encoding="utf-8")


def harden_pages(app: Sphinx, exception: Exception | None) -> None:
    """Give all pages their policy, and write the one that allows what any of them needs."""
    scripts: set[str] = set()

    def hardened(page: str, folder: Path) -> str:
        try:
            page = harden(page)
        except ValueError as error:
            raise ExtensionError(f"A page of {folder} has {error}") from error
        scripts.update(inline_scripts(page))
        return page

    rewrite_pages(app, exception, hardened)
    if not exception and app.builder.format == "html":
        write(Path(app.outdir), "", policy(PAGES, scripts))


def main(server: str = "", folder: str = FOLDER) -> None:
    """Print the settings for a server."""
    path = Path(folder, FILE)
    if server not in SERVERS:
        sys.exit(f"SERVER must be {' or '.join(SERVERS)}, not {server!r}")
    if not path.is_file():
        sys.exit(f"FOLDER must hold the built site, and {folder} does not: run make book")
    known = json.loads(path.read_text("utf-8"))
    print(SERVERS[server].format(pages=known[""], lite=known["lite/"]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook, after all others that rewrite pages."""
    app.connect("build-finished", harden_pages, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    main(*sys.argv[1:3])
