"""Imports what a command runs on, and keeps the garbage collector from looking through it."""

import gc
import importlib
import sys


def load(module: str) -> None:
    """Imports a module of the package with all that it imports, unless that has been done.

    An import makes hundreds of thousands of objects, and none of them is garbage. The collector looks through them
    again and again while they are made, at each later full collection, and when Python ends: about a quarter of the
    processor time of a process that imports torch and ends. So it rests meanwhile, and leaves them out from then on.
    """
    name = f"convlstm_cli.{module}"
    if name in sys.modules:
        return  # what a program has made since must not be left out
    works = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module(name)
        gc.freeze()
    finally:
        if works:
            gc.enable()
