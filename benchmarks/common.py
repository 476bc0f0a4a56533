"""What the commands of this folder share: which of their rows run, and on what they ran."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def circumstances(packages: Mapping[str, Any]) -> dict[str, Any]:
    """Return when, on what and with which versions of packages something is measured."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", info.read_text("utf-8")) if info.is_file() else None
    versions = {name: module.__version__ for name, module in packages.items() if module}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {"Python": platform.python_version()} | versions,
    }


def chosen(names: Iterable[str], words: list[str]) -> list[str]:
    """Return the names that have one of the words, or all where there are no words."""
    return [n for n in names if not words or any(word.lower() in n.lower() for word in words)]
