"""Check the links of the built site: ``python -m website.tools.links [FOLDER]``.

Every link of every page, pictures, scripts and style sheets too, must lead to a file of the site,
and its fragment to an id (or the name of an anchor) there. Links to other hosts must be https;
they are not followed, so that the check needs no network. An id must not stand twice on a page
if the course has put it there; the theme repeats some of its own. One line a problem is printed,
and the exit status is 1 if there is one.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

FOLDER = "_build/html"
ONE = {"href", "xlink:href", "src", "poster", "action", "formaction"}  # attributes with one link
MANY = {"srcset", "imagesrcset"}
ELSEWHERE = {"data", "mailto", "tel"}  # schemes that lead to no page
FROM_THE_THEME = ("_static", "_sources", "lite/")  # below are templates and programs, not pages


class Page(HTMLParser):
    """The ids and the links of one page.

    Attributes
    ----------
    ids : list of str
        All of them, and the names of anchors that differ from their id.
    own : set of str
        Those within an ``<article>``: what the course wrote, without the theme around it.
    links : list of str
        In the order of the page.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.own: set[str] = set()
        self.links: list[str] = []
        self._articles = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the ids and links of an element."""
        self._articles += tag == "article"
        values = {name: value or "" for name, value in attrs}
        found = {values.get("id"), values.get("name") if tag == "a" else None} - {None}
        self.ids += found
        self.own |= found if self._articles else set()
        for name, value in values.items():
            if name in ONE or (tag, name) == ("object", "data"):
                self.links.append(value.strip())
            elif name in MANY:
                self.links += candidates(value)

    def handle_endtag(self, tag: str) -> None:
        """Note where the course's own part ends."""
        self._articles -= tag == "article" and self._articles > 0


def candidates(srcset: str) -> list[str]:
    """Return the addresses in a ``srcset``.

    Examples
    --------
    >>> candidates("small.png 1x, large.png 2x, data:image/png;base64,AAAA 3x")
    ['small.png', 'large.png', 'data:image/png;base64,AAAA']
    """
    return re.findall(r"([^\s,](?:\S*[^\s,])?)(?:\s[^,]*)?(?:,|$)", srcset)


class Site:
    """A folder of pages, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # not `is_file` for each link, which takes a name in other letters on some systems
        self.files = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        }
        self._pages: dict[str, Page] = {}

    @property
    def names(self) -> list[str]:
        """The pages that readers see."""
        return sorted(
            name
            for name in self.files
            if name.endswith(".html") and not name.startswith(FROM_THE_THEME)
        )

    def page(self, name: str) -> Page:
        """Return a page by its path within the folder."""
        if name not in self._pages:
            self._pages[name] = Page((self.folder / name).read_text(encoding="utf-8"))
        return self._pages[name]

    def problems(self, name: str) -> Iterator[str]:
        """Yield what is wrong with a page, a line each."""
        page = self.page(name)
        for link in dict.fromkeys(page.links):
            if problem := self.problem(name, link):
                yield f"{name}: {link or 'an empty link'}: {problem}"
        for id_, count in Counter(page.ids).items():
            if count > 1 and id_ in page.own:
                yield f"{name}: #{id_}: the id is there {count} times"

    def problem(self, name: str, link: str) -> str:
        """Say what is wrong with a link of a page; nothing is ``""``."""
        try:
            parts = urlsplit(link)
        except ValueError as error:
            return f"cannot be read as a link: {error}"
        if parts.scheme in ELSEWHERE:
            return ""
        if parts.scheme or parts.netloc:
            return "" if parts.scheme == "https" and parts.netloc else "not https"
        if parts.path.startswith("/"):
            return "begins at the host's root, where the site need not be"
        if not link:
            return "leads nowhere"
        target = name
        if parts.path:
            target = self.file(PurePosixPath(name).parent / unquote(parts.path))
        if target not in self.files:
            return f"there is no file {target}" if target else "leads out of the site"
        # what follows :~: is for the browser, which looks for a text
        fragment = unquote(parts.fragment.partition(":~:")[0])
        if not fragment or not target.endswith(".html") or fragment in self.page(target).ids:
            return ""
        return f"there is no id {fragment} in {target}"

    def file(self, path: PurePosixPath) -> str:
        """Return the file that a server answers a path with; outside of the folder, ``""``."""
        parts: list[str] = []
        for part in path.parts:
            if part != "..":
                parts.append(part)
            elif parts:
                parts.pop()
            else:
                return ""
        name = "/".join(parts)
        index = f"{name}/index.html".lstrip("/")
        return index if index in self.files else name


def main(folder: str = FOLDER) -> None:
    """Check a folder; exit with 1 if a link leads nowhere."""
    site = Site(Path(folder))
    if not site.names:
        sys.exit(f"There is no page in {folder}: run `make book` first")
    problems = [problem for name in site.names for problem in site.problems(name)]
    for problem in problems:
        print(problem)
    if problems:
        print("Already mended? Remove _build: it keeps pages of earlier builds.", file=sys.stderr)
        sys.exit(f"{len(problems)} links or ids of the built site are wrong: see above")
    links = sum(len(site.page(name).links) for name in site.names)
    print(f"All {links} links on {len(site.names)} pages lead somewhere")


if __name__ == "__main__":
    main(*sys.argv[1:2])
