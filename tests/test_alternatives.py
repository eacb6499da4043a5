"""The likeliest ways to go on, against examples worked by hand and against all ways there are."""

import numpy as np
import pytest
from conftest import make_stored_model

from textgen.generation import alternatives as module
from textgen.generation.alternatives import Alternative, after_piece, alternatives
from textgen.generation.generator import Generator, open_generator
from textgen.generation.state import Context
from textgen.tokenizers import CharacterTokenizer, WordTokenizer


class ChainEngine:
    """What follows depends on the latest symbol alone, by a table {symbol: {next one: probability}}."""

    def __init__(self, tokenizer, table):
        self.tokenizer, self.table, self.num_read = tokenizer, table, 0

    def read(self, token_ids, context=None):
        self.num_read += 1
        probabilities = np.zeros(self.tokenizer.vocabulary_size)
        for piece, probability in self.table[self.tokenizer.pieces[token_ids[-1]]].items():
            probabilities[self.tokenizer.pieces.index(piece)] = probability
        state = np.zeros((1, 1), np.float32)
        with np.errstate(divide="ignore"):
            return Context(state, state, np.log(probabilities).astype(np.float32), np.asarray(token_ids, np.int32))


def found(tokenizer, table, text, count, **options):
    engine = ChainEngine(tokenizer, table)
    return alternatives(engine, tokenizer, Generator(tokenizer, engine).read(text), count, **options)


def rounded(result):
    return [(piece.text, round(piece.probability, 6)) for piece in result.pieces]


CHAIN = {
    "e": {" ": 0.9, ",": 0.1},
    ",": {" ": 1.0},
    " ": {"c": 0.6, "d": 0.4},
    "c": {"a": 0.75, "o": 0.25},
    "d": {"o": 1.0},
    "a": {"t": 1.0},
    "o": {"t": 0.75, "g": 0.25},
    "t": {" ": 0.5, "\n": 0.5},
    "g": {" ": 1.0},
    "\n": {"e": 1.0},
}
CHARACTERS = CharacterTokenizer("".join(sorted(CHAIN)))


def test_characters_go_on_to_the_next_space_and_the_likeliest_word_comes_first():
    # " cat" = 0.9 * 0.6 * 0.75, behind which a space or a line end comes; " dot" = 0.9 * 0.4 * 0.75, and so on.
    words = [(" cat", 0.405), (" dot", 0.27), (",", 0.1), (" cot", 0.10125), (" dog", 0.09), (" cog", 0.03375)]
    words.sort(key=lambda word: -word[1])
    assert rounded(found(CHARACTERS, CHAIN, "e", 6)) == words
    assert rounded(found(CHARACTERS, CHAIN, "e", 2)) == words[:2]
    assert rounded(found(CHARACTERS, CHAIN, "e", 50)) == words  # there are no more
    assert rounded(found(CHARACTERS, CHAIN, "c", 1)) == [("at", 0.75)]  # a word that was begun


def test_where_a_document_may_end_a_piece_ends_too_and_how_probable_that_is_now_is_told():
    documents = CharacterTokenizer("ab", "\n\n")
    chain = {"a": {"b": 0.75, "": 0.25}, "b": {"": 1.0}, "": {"a": 1.0}}
    result = found(documents, chain, "a", 5)
    assert (rounded(result), round(result.end, 6)) == ([("b", 0.75)], 0.25)


def test_a_word_is_one_id_or_all_letters_that_spell_it():
    words = WordTokenizer(" ,abt", [" tab"])
    chain = {"a": {" tab": 0.5, " ": 0.5}, " ": {"b": 1.0}, "b": {"a": 0.4, ",": 0.35, " tab": 0.25}}
    # " b" ends where "," or a word comes; behind "ba" stands again what follows "a".
    assert rounded(found(words, chain, "a", 2)) == [(" tab", 0.5), (" b", 0.3)]
    assert rounded(found(words, chain, "a", 3))[2] == (" ba", 0.2)


def test_a_word_that_is_an_id_and_can_be_spelled_is_one_piece():
    words = WordTokenizer(" ,ab", ["ab"])
    chain = {",": {"ab": 0.5, "a": 0.5}, "a": {"b": 1.0}, "b": {",": 1.0}, "ab": {",": 1.0}}
    assert rounded(found(words, chain, ",", 2)) == [("ab", 1.0)]


def test_in_writing_without_spaces_a_piece_is_one_character():
    tokenizer = CharacterTokenizer("".join(sorted(" a\u738b\u8005")))
    chain = {"a": {"\u738b": 0.5, "a": 0.25, " ": 0.25}, " ": {"\u8005": 1.0}}
    chain |= {"\u738b": {"a": 1.0}, "\u8005": {"a": 1.0}}
    assert rounded(found(tokenizer, chain, "a", 2)) == [("\u738b", 0.5), (" \u8005", 0.25)]


def test_a_search_without_end_is_cut_and_says_what_is_no_whole_piece(monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 20)
    tokenizer = CharacterTokenizer("ab")
    chain = {symbol: {"a": 0.9, "b": 0.1} for symbol in "ab"}
    result = found(tokenizer, chain, "a", 2)
    assert [piece.is_whole for piece in result.pieces] == [False, False]
    assert result.pieces[0] == Alternative("a" * 21, pytest.approx(0.9**21), is_whole=False)


@pytest.mark.parametrize("seed", range(4))
def test_no_likelier_piece_is_missed(seed):
    generator = open_generator(make_stored_model(seed=seed, symbols="\n ab"))
    symbols, context = generator.tokenizer.symbols, generator.read("ab")
    result = alternatives(generator.engine, generator.tokenizer, context, 12)
    least = result.pieces[-1].probability
    every: dict[str, float] = {}

    def look(text, context, probability):
        """All pieces that begin with `text`, as far as they are not less likely than the last that was found."""
        scores = np.exp(context.logits.astype(np.float64) - context.logits.max())
        for place, share in enumerate(probability * scores / scores.sum()):
            if text.strip() and symbols[place].isspace():
                every[text] = every.get(text, 0.0) + share
            elif share >= least * (1 - 1e-9):
                look(text + symbols[place], generator.engine.read(np.array([place]), context), share)

    look("", context, 1.0)
    expected = sorted(((p, text) for text, p in every.items() if p >= least * (1 - 1e-9)), reverse=True)
    assert [piece.text for piece in result.pieces] == [text for _, text in expected]
    np.testing.assert_allclose([piece.probability for piece in result.pieces], [p for p, _ in expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("tokenizer", "piece", "following"),
    [
        (CHARACTERS, " cat", "\n "),
        (CharacterTokenizer("\n a\u738b", "\n\n"), "a", ["\n", " ", "\u738b", ""]),
        (CharacterTokenizer("\n a\u738b"), "\u738b", None),
        (CharacterTokenizer(" ab"), " ", None),
        (WordTokenizer("\n abc", [" ab", "ab"]), " ab", None),
        (WordTokenizer("\n abc", [" ab", "ab"]), " ac", ["\n", " ", " ab", "ab"]),
    ],
)
def test_what_may_follow_a_piece_is_what_ends_it(tokenizer, piece, following):
    over = after_piece(tokenizer, piece)
    found = None if over is None else [tokenizer.pieces[i] for i in np.flatnonzero(over)]
    assert found == (None if following is None else list(following))
