"""A corpus to token ids on disk, split, in bounded memory; and kept, so that a second run starts at once.

    preparing        a CorpusReader -> Prepared; the front door, with the two passes over the text
    writing          the second pass: text -> ids of the training part and of the validation part, on disk
    entry            what is prepared, as a directory of files, opened memory-mapped
    cache            where the directories lie, by what they depend on; whole ones are used, all others made anew
    document_hashes  documents -> 64-bit numbers, to know one again

The first pass reads what has to be known before a token can be written: the vocabulary, the length, the number of
documents. The second writes the ids. Nothing is written before the first has found that there is something to learn.
"""

from textgen.preparation.document_hashes import document_hash
from textgen.preparation.entry import Prepared
from textgen.preparation.preparing import prepare

__all__ = ["Prepared", "document_hash", "prepare"]
