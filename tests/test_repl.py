"""The conversation, as whole transcripts: what is typed, what is written, and notices, which begin with #."""

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from repl_transcript import (
    DOCUMENTS,
    SYMBOLS,
    WORDS,
    AlphabetEngine,
    DocumentEngine,
    Transcript,
    WordEngine,
    assert_same,
    notices,
    story,
    transcript,
)

from textgen.config import SamplingConfig
from textgen.generation.generator import Generator, open_generator
from textgen.repl.session import CommandError
from textgen.repl.story import join, sentence_ends, start_of_last_sentences
from textgen.tokenizers import CharacterTokenizer

# ---------------------------------------------------------------- text in, text out


def test_text_in_continuation_out():
    assert transcript("a", "", "x, y", "/exit", "never read") == (
        "> a\nbcd\n"
        "> \nefg\n"
        "> x, y\nzab\n"
        "> /exit\n"
    )  # fmt: skip


def test_the_story_grows_by_what_is_typed_and_what_is_written():
    assert story("a", "", "x, y") == "abcdefg x, yzab"


def test_an_empty_line_at_the_start_begins_a_story():
    assert transcript("") == "> \nabc\n"


def test_the_end_of_input_leaves():
    assert transcript() == ""


def test_every_piece_is_passed_on_at_once():
    pieces = []
    session = Transcript("a")
    session.session.write = pieces.append
    session.run()
    assert pieces == ["b", "c", "d", "\n"]


def test_no_newline_is_added_to_text_that_ends_in_one():
    class Newlines(AlphabetEngine):
        def write(self, context, config, samples, barred=None, steering=None):
            while True:
                yield np.array([[SYMBOLS.index("\n")]], np.int32)

    assert transcript("a", engine=Newlines(), length=1) == "> a\n\n"


def test_escapes_and_a_leading_slash():
    assert story(r"one\ntwo\\n", length=1) == "one\ntwo\\no"
    assert story("//exit", length=1) == "/exitu"


def test_symbols_the_model_has_never_seen_are_named_in_one_line():
    assert notices("\u00e9A\u2603") == [
        "the model has never seen '\u00e9' (read as 'e'), 'A' (read as 'a'), '\u2603' (skipped)"
    ]


def test_the_story_keeps_what_was_typed_where_the_model_read_something_else():
    assert story("\u00e9") == "\u00e9fgh"


def test_an_unknown_symbol_refused_changes_nothing():
    generator = Generator(CharacterTokenizer(SYMBOLS), AlphabetEngine(), on_unknown="error")
    session = Transcript("a", "\u2603", generator=generator)
    assert "# the model has never seen" in session.run()
    assert session.story == "abcd"


def test_stop_strings_end_a_turn_and_are_not_in_the_story():
    assert story("a", "x", stop=("c",), length=9) == "ab xyzab"


def test_a_stop_string_that_comes_first_is_said():
    assert notices("a", "", stop=("b",)) == 2 * ["the model wrote nothing: the text that stops it came first"]


@pytest.mark.parametrize(
    ("before", "line", "joined"),
    [
        ("", "It was", "It was"),
        ("the king", "rode", " rode"),
        ("the king ", "rode", "rode"),
        ("the king.\n", "He", "He"),
        ("the king", " rode", " rode"),
        ("the king", ", who", ", who"),
        ("the king", "\u2014who", "\u2014who"),
        ("the king", '"Who?"', ' "Who?"'),
        ("(", "who", "who"),
        ("\u738b", "\u8005", "\u8005"),
        ("the king", "", ""),
    ],
)
def test_a_line_joins_the_story_as_a_writer_would(before, line, joined):
    assert join(before, line) == joined


def test_join_adds_no_space():
    assert story("a", "/join x") == "abcdxyza"
    assert story("a", r"/join \n") == "abcd\nabc"


# ---------------------------------------------------------------- Ctrl-C


def test_ctrl_c_stops_the_text_and_keeps_it():
    session = Transcript("a", "", engine=AlphabetEngine(interrupt_after=2))
    assert session.run() == (
        "> a\nbc\n# stopped; the story keeps the 2 characters written\n"
        "> \nde\n# stopped; the story keeps the 2 characters written\n"
    )
    assert session.story == "abcde"


def test_ctrl_c_before_the_first_character_keeps_what_was_typed():
    session = Transcript("a", "", engine=AlphabetEngine(interrupt_after=0))
    assert session.run().count("# stopped; the story keeps the 0 characters written\n") == 2
    assert session.story == "a"
    assert len(session.session.story.turns) == 1


def test_ctrl_c_while_text_is_read_leaves_the_story_as_it_was():
    class Impatient(AlphabetEngine):
        def read(self, token_ids, context=None):
            if len(token_ids) > 5:
                raise KeyboardInterrupt
            return super().read(token_ids, context)

    session = Transcript("a", "much too long", "x", engine=Impatient())
    assert "# stopped; the story is as it was\n" in session.run()
    assert session.story == "abcd xyza"


def test_ctrl_c_at_the_prompt_gives_a_hint():
    assert transcript(KeyboardInterrupt(), "a") == (
        "# Ctrl-C stops a text that is being written; Ctrl-D or /exit leaves\n> a\nbcd\n"
    )


def test_ctrl_c_between_lines_that_nobody_types_ends_the_program():
    session = Transcript(KeyboardInterrupt(), "a")
    session.repl.is_typed = False
    with pytest.raises(KeyboardInterrupt):
        session.run()


def test_half_a_surrogate_pair_is_not_text():
    assert story("a\udc80") == "a?bcd"


def test_a_line_that_cannot_be_read_is_passed_over():
    assert transcript(CommandError("a line is not UTF-8"), "a") == "# a line is not UTF-8\n> a\nbcd\n"


# ---------------------------------------------------------------- going back


def test_regen_writes_the_same_turn_with_the_next_sample():
    engine = AlphabetEngine(skips=True)
    assert transcript("a", "/regen", "/regen", engine=engine) == (
        "> a\nbcd\n"
        "> /regen\nceg\n"
        "> /regen\ndgj\n"
    )  # fmt: skip
    assert story("a", "/regen", "/regen", engine=engine) == "adgj"


def test_undo_goes_back_to_the_start_and_redo_forward_again():
    assert notices("a", "x", "/undo", "/undo", "/undo", "/redo", "/redo", "/redo") == [
        "the story ends: abcd",
        "the story is empty",
        "nothing to undo: this is the start",
        "the story ends: abcd",
        "the story ends: abcd xyza",
        "nothing to redo: no change was taken back, or another has come since",
    ]


def test_undo_takes_back_regen_back_and_new():
    engine = AlphabetEngine(skips=True)
    assert story("a", "/regen", "/undo", engine=engine) == "abcd"
    assert story("a! b", "/back", "/undo") == "a! bcde"
    assert story("a", "/new", "/undo") == "abcd"


def test_another_branch_after_undo():
    session = Transcript("a", "x", "/undo", "l")
    session.run()
    assert session.story == "abcd lmno"
    assert_same(session.context, Transcript().generator.read("abcd lmno"))


def test_back_cuts_the_last_sentences():
    lines = ("one. two! three", "/back")
    assert notices(*lines) == ["the story ends: one. two!"]
    assert story(*lines, "", length=1) == "one. two!a"
    assert story("one. two! three", "/back 2") == "one."
    assert story("one. two! three", "/back 99") == ""


def test_back_across_turns_reads_only_from_the_nearest_context():
    engine = AlphabetEngine()
    session = Transcript("one. two", "three", "/back", engine=engine)
    session.run()
    assert session.story == "one."
    assert engine.num_read == len("one. two") + len("pqr") + len(" three") + len("one.")


def test_back_then_regen_goes_on_from_the_cut():
    engine = AlphabetEngine(skips=True)
    assert story("one! b", "/back", "/regen", "/regen", engine=engine) == "one!cfi"


def test_back_within_what_the_model_wrote():
    class Sentences(AlphabetEngine):
        def write(self, context, config, samples, barred=None, steering=None):
            for symbol in "b. c. d":
                yield np.array([[SYMBOLS.index(symbol)]], np.int32)

    session = Transcript("a", "/back", engine=Sentences(), length=7)
    session.run()
    assert session.story == "ab. c."
    assert_same(session.context, Transcript().generator.read("ab. c."))


@pytest.mark.parametrize("argument", ["0", "-1", "two", "1.5", "\u0661"])
def test_back_expects_a_number(argument):
    expected = f"/back expects how many sentences to cut off, 1 or more. Received: {argument}"
    assert notices("a", f"/back {argument}") == [expected]


def test_sentences_end_where_a_reader_sees_it():
    text = 'He ran. "Stop!" she said... 3.5 times (twice.) and\n\nthen\u3002end'
    ends = ["He ran.", '"Stop!"', " she said...", " 3.5 times (twice.)", " and", "\n\nthen\u3002"]
    found = [text[:end] for end in sentence_ends(text)]
    assert all(head.endswith(end) for head, end in zip(found, ends, strict=True))


def test_a_megabyte_of_dots_is_one_sentence():
    assert start_of_last_sentences("." * 10**6 + "x", 1) == 0


STEPS = st.lists(
    st.sampled_from(["a", "x. y", "z! ", "", ",b", "\\n", "/regen", "/undo", "/redo", "/back", "/back 2", "/join k."]),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_whatever_the_way_the_context_is_that_of_the_text(steps):
    session = Transcript("q", *steps, engine=AlphabetEngine(skips=True))
    session.run()
    if session.story:
        fresh = session.generator.read(session.story)
        # A story that began with an empty line has the tokenizer's start before its text.
        assert SYMBOLS[session.context.recent[0]] == "\n" or len(session.context.recent) == len(fresh.recent)
        np.testing.assert_array_equal(session.context.recent[-len(fresh.recent) :], fresh.recent)
    else:
        assert session.context is None


# ---------------------------------------------------------------- words


def words_session(*lines, **sampling) -> Transcript:
    session = Transcript(*lines, generator=Generator(WORDS, WordEngine()), **sampling)
    session.run()
    return session


def test_a_word_model_writes_so_many_words():
    assert words_session("the", "", "sat", "/text").shown == (
        "> the\n cat ox cat\n"
        "> \n cat ox cat\n"
        "> sat\n cat ox cat\n"
        "> /text\nthe cat ox cat cat ox cat sat cat ox cat\n"
    )  # fmt: skip


def test_a_space_behind_a_line_belongs_to_the_word_that_comes():
    session = words_session("the ", length=1)
    assert session.story == "the cat"
    assert words_session(" ", length=1).story == " cat"
    assert words_session("the", " ", length=1).story == "the cat cat"


def test_a_spelled_word_can_be_joined_and_taken_back():
    session = words_session("the", "/join ed", "/undo", "/status", length=1)
    assert session.story == "the cat"
    assert "# story     7 characters in 1 turn\n" in session.shown
    assert words_session("the", "/join ed", length=2).story == "the cat oxed cat ox"


# ---------------------------------------------------------------- documents


def documents_session(*lines, **sampling) -> Transcript:
    session = Transcript(*lines, generator=Generator(DOCUMENTS, DocumentEngine()), **({"length": 20} | sampling))
    session.run()
    return session


def test_a_turn_ends_with_its_document_and_the_writer_may_go_on():
    assert documents_session("a", "", "! d", "/text").shown == (
        "> a\nbcde\n"
        "> \n# the model wrote nothing: for it the text ends here. Type how it goes on, or /set ignore_eod on\n"
        "> ! d\ne\n"
        "> /text\nabcde! de\n"
    )  # fmt: skip


def test_an_empty_line_at_the_start_begins_a_document():
    session = documents_session("")
    assert session.story == "abcde"
    assert session.context.recent.tolist() == [DOCUMENTS.eod_id, *DOCUMENTS.encode("abcde")]


def test_the_end_of_a_document_can_be_ignored():
    assert documents_session("a", "/set ignore_eod on", "", "/set ignore_eod", length=8).shown == (
        "> a\nbcde\n"
        "> /set ignore_eod on\n# ignore_eod = on\n"
        "> \n\n\nabcde\n\na\n"
        "> /set ignore_eod\n# ignore_eod  on  Continue with another document where one ends.\n"
    )  # fmt: skip


def test_what_was_written_past_the_end_of_a_line_document_is_read_as_it_was_written():
    """The model has never seen a newline: it stands for the end of a document."""
    tokenizer = CharacterTokenizer(" abcdefghij", "\n")
    generator = open_generator(make_stored_model(tokenizer=tokenizer))
    session = Transcript("abc", "", "/undo", r"d\ne", generator=generator, length=30, ignore_eod=True)
    session.generator.on_replaced = session.replaced
    shown = session.run()
    assert "never seen" not in shown
    assert session.story.count("\n") >= 2
    ids = [tokenizer.eod_id if symbol == "\n" else tokenizer.pieces.index(symbol) for symbol in session.story]
    assert session.context.recent.tolist() == [tokenizer.eod_id, *ids]


def test_a_stop_string_that_comes_first_is_said_where_ends_are_ignored():
    shown = documents_session("a", stop=("b",), ignore_eod=True).shown
    assert shown == "> a\n# the model wrote nothing: the text that stops it came first\n"


# ---------------------------------------------------------------- a real model


def real_session(*lines, tokenizer=None, **sampling) -> Transcript:
    generator = open_generator(make_stored_model(tokenizer=tokenizer))
    session = Transcript(*lines, generator=generator, **({"length": 40} | sampling))
    session.run()
    return session


def test_a_real_model_gives_what_sampling_gives():
    generator = open_generator(make_stored_model())
    text = "".join(generator.stream("it was", SamplingConfig(length=40, seed=5), sample=0))
    assert real_session("it was", seed=5).story == "it was" + text


def test_the_same_lines_give_the_same_session():
    lines = ("it was", "", "a king", "/regen", "/back", "/regen", "/undo", "so")
    assert real_session(*lines).shown == real_session(*lines).shown


def test_regen_of_a_real_model_is_another_text():
    assert real_session("it was").story != real_session("it was", "/regen").story


@pytest.mark.parametrize("tokenizer", [make_word_tokenizer(), make_word_tokenizer("\n"), make_word_tokenizer("\n\n")])
def test_a_real_model_of_words_gives_what_sampling_gives(tokenizer):
    generator = open_generator(make_stored_model(tokenizer=tokenizer))
    text = "".join(generator.stream("the cat ", SamplingConfig(length=40, seed=5), sample=0))
    assert real_session("the cat ", tokenizer=tokenizer, seed=5).story == "the cat" + text


@pytest.mark.parametrize("lines", [("it was", "a. b", "/undo", "c"), ("it. was", "/back", "/regen"), ("a", "/regen")])
def test_a_real_context_is_that_of_the_text(lines):
    session = real_session(*lines)
    assert_same(session.context, session.generator.read(session.story))
