"""A corpus to token ids on disk, split, in bounded memory; and kept, so that a second run starts at once.

preparing  a CorpusReader -> Prepared: the passes over the text, which write the ids of both parts
shards     a text in parts, and the pure functions `count` and `encode` of one part
jobs       shards worked on by several processes, with results in their order
kept       results that a later run finds after a kill
cache      what is prepared: a directory of files, found by what it depends on, verified, made anew when damaged
beam       the same by Apache Beam, on many machines; nothing else imports it
split      which characters or documents are to learn from, and which to validate on
batches    token ids -> the batch of a step
"""

from textgen.dataset.cache import Prepared
from textgen.dataset.preparing import prepare

__all__ = ["Prepared", "prepare"]
