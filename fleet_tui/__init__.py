"""Fleet's one name in site-packages: importing it makes `engine`, `screens` and `styles` importable.

In a wheel they lie in `fleet_tui/_rooms`, so that no other project's `engine` can be mistaken for ours; in a checkout
they lie beside this folder. Whichever it is goes first on `sys.path`, and every entry point comes through here. This
runs before the stub shows anything, so it imports nothing that the interpreter has not loaded already.
"""

import os
import sys

__version__ = "0.1.0"

_here = os.path.dirname(os.path.abspath(__file__))
_rooms = os.path.join(_here, "_rooms")
_root = _rooms if os.path.isdir(_rooms) else os.path.dirname(_here)
if sys.path[:1] != [_root]:
    sys.path.insert(0, _root)
