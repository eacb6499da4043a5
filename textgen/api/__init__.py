"""The Python interface: `textgen.train`, `textgen.load`, and the `Model` that both give.

Settings are the command line's, by the same names: `--top-k 10` is `top_k=10`. Numbers of NumPy are numbers. Every
error is a TextgenError. What the command line says in a notice is a TextgenWarning; nothing is printed.
"""

from textgen.api.model import Model, load
from textgen.api.training import train

__all__ = ["Model", "load", "train"]
