"""The corpus: from files, folders, stdin and named corpora to one text, and what can be said of it.

    reading      sources -> Corpus (name, text, hash, notes); the front door
      sources    one argument -> the documents it stands for
      decoding   bytes -> text, block by block, with exact errors
    splitting    text -> training part, validation part
    describing   text -> counts and entropy floors
    catalogue    the corpora that have a name; the starter corpus
      download   a catalogued file -> the user's cache, checked
      connection which servers are talked to, and how long they may take
    names        model names, names in messages, near misses

Text leaves this room as one `str` with LF line ends and no leading byte-order mark.
"""

from textgen.corpus.describing import CorpusFacts, describe
from textgen.corpus.reading import Corpus, read_corpus, read_entry
from textgen.corpus.splitting import split_text

__all__ = ["Corpus", "CorpusFacts", "describe", "read_corpus", "read_entry", "split_text"]
