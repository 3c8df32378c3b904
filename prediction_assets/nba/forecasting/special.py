"""SciPy's special functions, imported without the parts of NumPy that they don't use.

SciPy copies every name of NumPy, and so imports its Fortran compiler, test tools and random numbers: a hundred modules
of every slate's run.
"""

import numpy as np

_UNUSED = [name for name in ("f2py", "ma", "polynomial", "random", "testing") if name not in vars(np)]
for _name in _UNUSED:
    setattr(np, _name, None)
try:
    from scipy import special
finally:
    for _name in _UNUSED:  # NumPy imports each at its first use
        delattr(np, _name)

__all__ = ["special"]
