"""A corpus to token ids on disk, split, in bounded memory; and kept, so that a second run starts at once.

preparing  a CorpusReader -> Prepared: the passes over the text, which write the ids of both parts
cache      what is prepared: a directory of files, found by what it depends on, verified, made anew when damaged
"""

from textgen.dataset.cache import Prepared
from textgen.dataset.preparing import prepare

__all__ = ["Prepared", "prepare"]
