"""The corpus: from files, folders, stdin and named corpora to a stream of text, and what can be said of it.

    reading      sources -> CorpusReader: blocks of text, again and again; the front door
      sources    one argument -> the files it stands for, and their bytes
      passing    the bytes of a file as they are read: counted and hashed
      folders    which files of a folder are read, and what is said of the others
      extracting a file that is a document -> its text
      formats/   .docx, .epub, .html and others -> paragraphs; what a file is by its first bytes
      decoding   bytes -> text, block by block, in the encoding that is named or found; LF line ends
      compression what is compressed as a whole: by gzip or Zstandard
      containers what is no plain text, by its first bytes
      detecting  which encoding a file is in that is not UTF-8
      shifting   encodings that are ASCII and shift out of it
      ebcdic     what mainframes write
      likelihood bits that a reading of some bytes takes; the least is the right one
      counting   what stands in bytes, however they are read: counted once
      alphabets  what is frequent in which writing: data
      pieces     pieces of texts, which show what was found
      misfits    bytes that do not fit an encoding, and what is said of them
      surrogates halves of surrogate pairs, which are not text
      noting     what was met and changed -> sentences
      advising   errors and notes without flags, for commands that have none for reading
      documents  text -> documents: files, lines, or what stands between blank lines or marks
      tables     CSV, TSV, JSON -> documents: the cells of a column
      delimited  the rows of CSV and TSV, and what becomes of wrong quotes
      quoted     rows that hold their delimiter inside quotes
      spans      rows of several lines, and which of them hold what looks like rows
      json_rows  the rows of JSON: in lines or in a list
      columnar   the columns of Parquet and Arrow, with the library of the extra `parquet`
      dialects   how CSV is written: delimiter, header, columns
      rows       what all rows have in common: what a bad one costs, names of columns
    texts        texts in memory -> a CorpusReader too
    remembered   which corpora this user has trained from; what a model names is opened only then
    splitting    characters or documents -> training part, validation part
    describing   text -> counts and entropy floors
    lines        text -> whether its lines are a list
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
