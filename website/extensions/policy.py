"""What the site's pages may load: a Content-Security-Policy, made from the built pages.

Each page has its policy in a ``<meta>``, which holds on every server and for a folder of files (see
``pages.py``). The site's ``content-security-policy.json`` has the header for all pages (under
``""``) and the one for the browser's kernel (under ``lite/``), which ``serve.py`` sends. A script
that stands in a page is allowed by its hash; code in an attribute ends the build.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from bs4 import BeautifulSoup

from initcore import _files

FILE = "content-security-policy.json"
META = {"http-equiv": "Content-Security-Policy"}

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

RUN = ("", "module", "text/javascript", "application/javascript")  # types of scripts


def inline_scripts(page: BeautifulSoup) -> set[str]:
    """Return the sources that allow the scripts within a page: ``'sha256-…'``."""
    scripts = [one for one in page("script", src=False) if one.get("type", "") in RUN]
    digests = [hashlib.sha256(one.get_text().encode()).digest() for one in scripts]
    return {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}


def line(directives: dict[str, list[str]], scripts: set[str]) -> str:
    """Return a policy in one line, with these sources of scripts as well."""
    every = {**directives, "script-src": [*directives["script-src"], *sorted(scripts)]}
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in every.items())


def harden(page: BeautifulSoup) -> None:
    """Give a page its policy, after its encoding; raise `ValueError` for code in an attribute."""
    for element in page(True):
        for name, value in element.attrs.items():
            if name.startswith("on") or str(value).strip().lower().startswith("javascript:"):
                raise ValueError(f"code in an attribute, which no hash allows: {name}={value!r}")
    content = line(PAGES, inline_scripts(page))
    if charset := page.find("meta", charset=True):
        charset.insert_after(page.new_tag("meta", attrs={**META, "content": content}))


def write(site: Path, prefix: str, text: str) -> None:
    """Write the policy of the paths that begin with a prefix into the site's file."""
    path = site / FILE
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    _files.write(path, json.dumps({**known, prefix: text}, indent=1) + "\n")
