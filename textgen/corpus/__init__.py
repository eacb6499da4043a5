"""The corpus: from files, folders, stdin and named corpora to a stream of text, and what can be said of it.

    reading      sources -> CorpusReader (blocks of text, again and again), or Corpus (all of it); the front door
      sources    one argument -> the files it stands for
      spooling   standard input -> bytes that can be read twice
      passing    a file -> its bytes, counted, hashed and decompressed on the way
      decoding   bytes -> text, block by block, with exact errors
      documents  text -> documents: files, lines, or what stands between blank lines
      tables     CSV, TSV, JSONL -> documents: the cells of a column
    splitting    characters or documents -> training part, validation part
    describing   text -> counts and entropy floors
    catalogue    the corpora that have a name; the starter corpus
      download   a catalogued file -> the user's cache, checked
      connection which servers are talked to, and how long they may take
    names        what a model of a corpus is called

Text leaves this room with LF line ends and no leading byte-order mark, and half surrogate pairs are nowhere in it but
for END_OF_DOCUMENT.
"""

from textgen.corpus.describing import CorpusFacts, describe
from textgen.corpus.reading import Corpus, CorpusReader, open_corpus, read_corpus, read_entry
from textgen.corpus.splitting import split_text

__all__ = [
    "Corpus",
    "CorpusFacts",
    "CorpusReader",
    "describe",
    "open_corpus",
    "read_corpus",
    "read_entry",
    "split_text",
]
