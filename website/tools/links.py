"""Check the links of the built site: ``python -m website.tools.links [FOLDER]``.

Every link of every page, pictures, scripts and style sheets too, must lead to a file of the site,
and its fragment to an id there. Links to other hosts must be https; they are not followed, so that
the check needs no network, and nothing but a link to be clicked may lead there. An id must not
stand twice on a page if the course has put it there; the theme repeats some of its own. One line
a problem is printed, and the exit status is 1 if there is one.
"""

from __future__ import annotations

import posixpath
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bs4 import BeautifulSoup

ATTRIBUTES = ("href", "src", "action", "poster")
ELSEWHERE = {"data", "mailto", "tel"}  # schemes that lead to no page
NO_PAGES = ("_static/", "_sources/", "lite/")  # below are templates and programs


def page_names(folder: Path) -> list[str]:
    """Return the pages that readers see, by their paths within the site."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    return [name for name in names if not name.startswith(NO_PAGES)]


class Page:
    """What a page links to, as (tag, link), its ids, and those of them that the course wrote."""

    def __init__(self, html: str) -> None:
        tree = BeautifulSoup(html, "html.parser")
        found = [(tag, name) for tag in tree(True) for name in ATTRIBUTES if name in tag.attrs]
        self.links = [(tag.name, tag[name].strip()) for tag, name in found]
        self.ids = Counter(tag["id"] for tag in tree(id=True))
        self.own = {tag["id"] for tag in tree.select("article [id]")}


class Site:
    """A folder of pages."""

    def __init__(self, folder: Path) -> None:
        # not `is_file` for each link, which takes a name in other letters on some systems
        found = [path for path in folder.rglob("*") if path.is_file()]
        self.files = {path.relative_to(folder).as_posix() for path in found}
        self.pages = {n: Page((folder / n).read_text(encoding="utf-8")) for n in page_names(folder)}

    def problems(self) -> Iterator[str]:
        """Yield what is wrong, a line each."""
        for name, page in self.pages.items():
            for tag, link in dict.fromkeys(page.links):
                if problem := self.problem(name, link, tag):
                    yield f"{name}: {link or 'an empty link'}: {problem}"
            for id_, count in page.ids.items():
                if count > 1 and id_ in page.own:
                    yield f"{name}: #{id_}: the id is there {count} times"

    def problem(self, name: str, link: str, tag: str) -> str:
        """Say what is wrong with a link of a page; nothing is ``""``."""
        parts = urlsplit(link)
        if parts.scheme in ELSEWHERE:
            return ""
        if parts.scheme or parts.netloc:
            if tag != "a":
                return "is loaded from another host"
            return "" if parts.scheme == "https" and parts.netloc else "not https"
        if not link or parts.path.startswith("/"):
            return "must be relative to its page: the site need not be at its host's root"
        target = name
        if parts.path:
            target = posixpath.normpath(posixpath.join(name, "..", unquote(parts.path)))
        # those that the browser's kernel opens too
        notebooks = [f"lite/files/{path}" for path in parse_qs(parts.query).get("path", ())]
        if missing := [file for file in (target, *notebooks) if file not in self.files]:
            return f"there is no file {missing[0]}"
        fragment = unquote(parts.fragment)
        if not fragment or target not in self.pages or fragment in self.pages[target].ids:
            return ""
        return f"there is no id {fragment} in {target}"


def main(folder: str = "_build/html") -> None:
    """Check a folder; exit with 1 if a link leads nowhere."""
    site = Site(Path(folder))
    if not site.pages:
        sys.exit(f"There is no page in {folder}: run `make book` first")
    if problems := list(site.problems()):
        print(*problems, sep="\n")
        print("Already mended? Remove _build: it keeps pages of earlier builds.", file=sys.stderr)
        sys.exit(f"{len(problems)} links or ids of the built site are wrong: see above")
    links = sum(len(page.links) for page in site.pages.values())
    print(f"All {links} links on {len(site.pages)} pages lead somewhere")


if __name__ == "__main__":
    main(*sys.argv[1:2])
