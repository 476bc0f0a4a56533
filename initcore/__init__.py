"""Initialization, by experiment: the package that the course's notebooks import.

The floors, bottom up; a module imports only from those before it:
``_checks, tables`` → ``activations, initializers, datasets`` → ``theory, network`` → ``probes``
→ ``training`` → ``experiments`` → ``plots``. Only ``plots`` needs Matplotlib, and it is never
imported by ``import initcore``.
"""

__version__ = "0.1.0"
