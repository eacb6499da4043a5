"""The corpus: from files, folders, stdin and named corpora to a stream of text, and what can be said of it.

    reading      sources -> CorpusReader: blocks of text, again and again; the front door
      sources    one argument -> the files it stands for, and their bytes
      decoding   bytes -> text, block by block, with exact errors
      documents  text -> documents: files, lines, or what stands between blank lines
      tables     CSV, TSV, JSONL -> documents: the cells of a column
    texts        texts in memory -> a CorpusReader too
    remembered   which corpora this user has trained from; what a model names is opened only then
    splitting    characters or documents -> training part, validation part
    describing   text -> counts and entropy floors
    catalogue    the corpora that have a name; the starter corpus
      download   a catalogued file -> the user's cache, checked
      connection which servers are talked to, and how long they may take
    names        what a model of a corpus is called

Text leaves this room with LF line ends and no leading byte-order mark. The only half of a surrogate pair in it is
END_OF_DOCUMENT.
"""

from textgen.corpus.describing import CorpusFacts, describe
from textgen.corpus.reading import CorpusReader, open_corpus, open_entry
from textgen.corpus.remembered import reopen_corpus

__all__ = ["CorpusFacts", "CorpusReader", "describe", "open_corpus", "open_entry", "reopen_corpus"]
