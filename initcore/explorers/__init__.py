"""Live figures, one a chapter (floor 8): measured once by Python, drawn without a kernel.

Each is an anywidget with native controls. ``Scale(sd=0.5).show()`` shows it in a notebook, and
``reading()`` returns the numbers in it as a table. The page made from a notebook shows the same
figure. Needs anywidget and Matplotlib (``pip install "initcore[widgets,plots]"``).
"""

from initcore.explorers._base import Explorer
from initcore.explorers.assumptions import Assumptions
from initcore.explorers.compromise import Compromise
from initcore.explorers.scale import Scale

__all__ = ["Assumptions", "Compromise", "Explorer", "Scale"]

#: By the name of its files and of its page on the site.
EXPLORERS = {cls.NAME: cls for cls in (Scale, Assumptions, Compromise)}
