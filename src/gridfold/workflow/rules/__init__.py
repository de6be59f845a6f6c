"""What the scripts of rules do, each in the module that is named as its rule."""

from pkgutil import iter_modules

# The rules whose jobs fork from a process with pandas and Matplotlib.
NAMES = frozenset(module.name for module in iter_modules(__path__))
