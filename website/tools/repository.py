"""The course's repository and what its address leads to: Binder, Colab, a hub with nbgitpuller.

The one address stands in ``_config.yml``, as ``url`` of ``repository``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlencode, urlsplit

BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"


@dataclass(frozen=True)
class Repository:
    """Where the course can be cloned from.

    Attributes
    ----------
    url : str
        Its address, without a slash or ``.git`` at the end.
    host : str
        ``github.com``, say.
    path : str
        What follows the host: ``OWNER/NAME``, on GitLab with the groups.
    branch : str
        The branch that readers get.
    """

    url: str
    host: str
    path: str
    branch: str

    @property
    def name(self) -> str:
        """The folder that a clone makes."""
        return self.path.rsplit("/", 1)[-1]

    def binder(self, file: str) -> str:
        """Return the address that opens a file on Binder."""
        if self.host == "github.com":
            where = f"gh/{self.path}"
        elif self.host == "gitlab.com":
            where = f"gl/{quote(self.path, safe='')}"
        else:
            where = f"git/{quote(self.url, safe='')}"
        return f"{BINDER}/v2/{where}/{quote(self.branch)}?urlpath=lab/tree/{quote(file)}"

    def colab(self, file: str) -> str:
        """Return the address that opens a file on Colab, which knows GitHub only; else ``""``."""
        if self.host != "github.com":
            return ""
        return f"{COLAB}/github/{self.path}/blob/{quote(self.branch)}/{quote(file)}"

    def jupyterhub(self, hub: str, file: str) -> str:
        """Return the address by which a hub with nbgitpuller clones the course and opens a file."""
        query = {"repo": self.url, "urlpath": f"lab/tree/{self.name}/{file}", "branch": self.branch}
        return f"{hub}/hub/user-redirect/git-pull?{urlencode(query, safe='/', quote_via=quote)}"


def read_repository(url: str, branch: str = "main") -> Repository | None:
    """Return the repository at an address, None if that is empty.

    Raises
    ------
    ValueError
        It is no address that a browser and git both understand, or the branch is none.

    Examples
    --------
    >>> read_repository("https://github.com/owner/course.git").binder("a.ipynb")
    'https://mybinder.org/v2/gh/owner/course/main?urlpath=lab/tree/a.ipynb'
    """
    if not url:
        return None
    parts = _https(url, "repository: url", "https://github.com/OWNER/NAME")
    path = parts.path.strip("/").removesuffix(".git")
    # One name is enough on a server of one's own; what stands behind a name is not for git.
    fewest = 2 if parts.netloc in ("github.com", "gitlab.com") else 1
    names = path.split("/")
    too_many = parts.netloc == "github.com" and len(names) > 2
    if len(names) < fewest or too_many or not all(re.fullmatch(r"[\w.~-]+", n) for n in names):
        raise ValueError(
            "repository: url must name a repository, such as https://github.com/OWNER/NAME, "
            f"not {url!r}"
        )
    if not re.fullmatch(r"[\w./-]+", branch or ""):
        raise ValueError(f"repository: branch must be the name of a branch, not {branch!r}")
    return Repository(f"https://{parts.netloc}/{path}", parts.netloc, path, branch)


def read_hub(url: str) -> str:
    """Return a JupyterHub's address without a slash at its end.

    Raises
    ------
    ValueError
        It is not the address of a site.
    """
    if not url:
        return ""
    _https(url, "launch_buttons: jupyterhub_url", "https://hub.example.org")
    return url.rstrip("/")


def _https(url: str, key: str, example: str) -> SplitResult:
    """Return the parts of an https address without a user, a query and a fragment."""
    wrong = ValueError(f"{key} must be an https address, such as {example}, not {url!r}")
    try:
        parts = urlsplit(url)
    except (ValueError, AttributeError, TypeError):
        raise wrong from None
    plain = parts.scheme == "https" and re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc)
    if not plain or parts.query or parts.fragment or re.search(r"\s", url):
        raise wrong
    return parts
