"""The course's repository and what its address leads to: Binder, Colab, a hub with nbgitpuller.

The one address stands in ``_config.yml``, as ``url`` of ``repository``.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urlencode

ADDRESS = re.compile(r"https://([\w.-]+(?::\d+)?)/([\w.~-]+(?:/[\w.~-]+)*)/?")


class Repository(NamedTuple):
    """Where the course can be cloned from, and the branch that readers get.

    The address has no slash or ``.git`` at its end; its path, behind the host, is ``OWNER/NAME``.
    """

    url: str
    branch: str

    def links(self, file: str, hub: str = "") -> dict[str, str]:
        """Return the addresses that open a file on other hosts, by the names of these."""
        host, _, path = self.url.removeprefix("https://").partition("/")
        paths = {"github.com": f"gh/{path}", "gitlab.com": f"gl/{quote(path, safe='')}"}
        there = paths.get(host, f"git/{quote(self.url, safe='')}")
        lab = f"lab/tree/{quote(file)}"
        links = {"Binder": f"https://mybinder.org/v2/{there}/{self.branch}?urlpath={lab}"}
        if host == "github.com":  # Colab knows no other
            there = f"{path}/blob/{self.branch}/{quote(file)}"
            links["Colab"] = f"https://colab.research.google.com/github/{there}"
        if hub:  # its nbgitpuller clones the course first
            lab = f"lab/tree/{path.rpartition('/')[2]}/{file}"
            query = {"repo": self.url, "urlpath": lab, "branch": self.branch}
            pull = urlencode(query, safe="/", quote_via=quote)
            links["JupyterHub"] = f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{pull}"
        return links


def read_repository(url: str | None, branch: str | None = None) -> Repository | None:
    """Return the repository at an address that browsers and git understand, None without one."""
    if not url:
        return None
    found = ADDRESS.fullmatch(str(url))
    if not found or (found[1] == "github.com" and found[2].count("/") != 1):
        example = "such as https://github.com/OWNER/NAME"
        raise ValueError(f"repository: url must be an https address, {example}, not {url!r}")
    branch = branch or "main"
    if not re.fullmatch(r"[\w./-]+", str(branch)):
        raise ValueError(f"repository: branch must be the name of a branch, not {branch!r}")
    return Repository(f"https://{found[1]}/{found[2].removesuffix('.git')}", branch)
