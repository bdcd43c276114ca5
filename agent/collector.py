"""The cyclic garbage collector of a process that must not stop for 0.15 s in the middle of forty calls."""

import gc

_NEW, _YOUNG, _OLD = 10_000, 20, 20
"""Containers made and not freed before the youngest are looked at, and how often until the next generation is. With the
defaults a busy process looked at everything it has several times a minute."""


def spare_calls() -> None:
    """Leave out of every later collection what exists now, the modules above all, and collect the rest less often.
    Nearly everything is freed without the collector; to be called when the process is up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _YOUNG, _OLD)
