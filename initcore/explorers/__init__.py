"""Live figures, one a chapter (level 8): measured once by Python, drawn without a kernel.

Each is an anywidget with native controls. ``Scale(sd=0.5).show()`` shows it in a notebook, and
``reading()`` returns the numbers in it as a table. The page made from a notebook shows the same
figure. Needs anywidget and Matplotlib (``pip install "initcore[widgets,plots]"``).
"""

from initcore.explorers._base import Explorer
from initcore.explorers.assumptions import Assumptions
from initcore.explorers.clinic import Clinic
from initcore.explorers.compromise import Compromise
from initcore.explorers.depth import Depth
from initcore.explorers.gains import Gains
from initcore.explorers.lazy import Lazy
from initcore.explorers.opening import Opening
from initcore.explorers.plane import Plane
from initcore.explorers.pretraining import Pretraining
from initcore.explorers.residual import Residual
from initcore.explorers.scale import Scale
from initcore.explorers.tokens import Tokens
from initcore.explorers.zeros import Zeros

_ALL = (
    *(Opening, Pretraining, Zeros, Scale, Assumptions, Compromise, Depth, Gains, Residual, Clinic),
    *(Lazy, Plane, Tokens),
)
__all__ = sorted(cls.__name__ for cls in (Explorer, *_ALL))
#: By the name of its files and of its page on the site, in the order of the chapters.
EXPLORERS = {cls.NAME: cls for cls in _ALL}
