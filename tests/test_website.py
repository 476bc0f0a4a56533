"""What formulas need: `assets`; and the pictures that stand on no notebook."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.errors import ExtensionError

from website.extensions import assets
from website.tools import picture

ROOT = Path(__file__).resolve().parents[1]


def test_the_site_has_mathjax_or_is_not_built(tmp_path, monkeypatch):
    app = SimpleNamespace(outdir=str(tmp_path))
    monkeypatch.setattr(assets, "MATHJAX", tmp_path / "mathjax")
    with pytest.raises(ExtensionError, match="MathJax is missing"):
        assets.copy_mathjax(app)
    (tmp_path / "mathjax/es5").mkdir(parents=True)
    (tmp_path / "mathjax/es5/tex-chtml.js").write_text("/* maths */", encoding="utf-8")
    assets.copy_mathjax(app)
    assert (tmp_path / "_static/mathjax/tex-chtml.js").read_text("utf-8") == "/* maths */"


def test_the_pictures_are_those_that_are_drawn_from_data(tmp_path):
    picture.main(tmp_path)
    for name in ("course.png", "growth.png"):
        assert (tmp_path / name).read_bytes() == (picture.FOLDER / name).read_bytes(), name
