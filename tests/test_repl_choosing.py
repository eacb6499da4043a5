"""Ways to go on to choose from, and how far to go on, as whole transcripts; lines that begin with | are to be read."""

import re

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
    notices,
    story,
    transcript,
)

from textgen.generation.generator import Generator, open_generator
from textgen.repl.reach import Reach, count_words
from textgen.tokenizers import CharacterTokenizer

NEXT = {" ": "cd", "c": "ao", "a": "t", "o": "t", "d": "o", "t": " "}  # of two, the first is four times as likely


class NextEngine(AlphabetEngine):
    """Writes as AlphabetEngine does, and thinks that " cat", " cot" and " dot" may follow any other word."""

    def read(self, token_ids, context=None):
        context = super().read(token_ids, context)
        following = NEXT.get(SYMBOLS[context.recent[-1]], " ")
        context.logits[:] = -50
        context.logits[[SYMBOLS.index(symbol) for symbol in following]] = [0, -np.log(4)][: len(following)]
        return context


def test_alternatives_are_chosen_by_number_and_the_model_goes_on():
    assert transcript("xy", "/alt 3", "2", engine=NextEngine()) == (
        "> xy\nzab\n"
        "> /alt 3\n"
        "|  1   64.0%   cat\n"
        "|  2   20.0%   dot\n"
        "|  3   16.0%   cot\n"
        "# A number takes one; anything else goes on as ever.\n"
        "1-3> 2\n dotuvw\n"
    )  # fmt: skip
    assert story("xy", "/alt", "2", engine=NextEngine()) == "xyzab dotuvw"


def test_instead_of_a_number_text_or_nothing_goes_on_as_ever():
    assert story("xy", "/alt 1", "own", engine=NextEngine()) == "xyzab ownopq"
    assert story("xy", "/alt", "", engine=NextEngine()) == "xyzabcde"
    assert story("xy", "/alt", " 2", engine=NextEngine()) == "xyzab 2abc"
    assert story("xy", "/alt", "own", "2", engine=NextEngine()).endswith("opq 2abc")  # they were for the place before


def test_what_is_offered_stands_while_the_story_does():
    shown = transcript("xy", "/alt 3", "/set temperature 1", "7", "0", "3", engine=NextEngine())
    assert shown.count("\n1-3> ") == 4
    assert "1-3> 7\n# 1 to 3 can be chosen. A number that is text is typed with a space before it\n" in shown
    assert shown.endswith("1-3> 3\n cotuvw\n")


def test_where_the_text_may_end_that_is_told():
    class Ends(AlphabetEngine):
        def read(self, token_ids, context=None):
            context = super().read(np.minimum(token_ids, len(SYMBOLS) - 1), context)
            return type(context)(context.hidden, context.memory, np.append(context.logits - 9, 0), context.recent)

    shown = transcript("/alt 1", generator=Generator(DOCUMENTS, Ends()))
    assert re.search(r"\|     +99\.\d%  \(the text ends here\)\n", shown)


def test_variants_stand_side_by_side_and_one_is_chosen():
    engine = AlphabetEngine(skips=True)
    shown = transcript("a", "/variants 3", "2", "/regen", engine=engine)
    assert shown == (
        "> a\nbcd\n"
        "> /variants 3\n"
        "| 1                          2                          3\n"
        "| fhj                        gjm                        hlp\n"
        "# A number takes one; anything else goes on as ever.\n"
        "1-3> 2\ngjm\n"
        "> /regen\nins\n"
    )  # fmt: skip
    assert story("a", "/variants 3", "2", engine=engine) == "abcdgjm"
    assert story("a", "/variants 3", "2", "/undo", engine=engine) == "abcd"


@pytest.mark.parametrize("settings", [{"temperature": 1}, {"beams": 2, "temperature": 0}])
def test_a_piece_that_is_chosen_stays_whole_however_often_it_goes_on(settings, tmp_path):
    """Its probability is that white space follows; a model of characters could go on with a letter."""
    generator = open_generator(make_stored_model(symbols=SYMBOLS))
    session = Transcript("it was", "/alt 20", generator=generator, length=1, **settings)
    session.run()
    begin, offer = session.story, session.session.offer
    number = next(n for n, is_whole in enumerate(offer.whole, 1) if is_whole)
    piece = offer.texts[number - 1]
    session.lines += [str(number), *["/regen"] * 5, f"/session {tmp_path}/kept", "/exit"]
    session.run()
    assert re.fullmatch(r"\s", session.story.removeprefix(begin + piece))
    again = Transcript(f"/session {tmp_path}/kept", *["/regen"] * 5, generator=generator)
    again.run()
    assert re.fullmatch(r"\s", again.story.removeprefix(begin + piece))


def test_on_a_narrow_screen_variants_stand_one_below_another():
    shown = transcript("a", "/variants 2", engine=AlphabetEngine(skips=True), length=30, columns=40)
    lines = [line[2:] for line in shown.splitlines() if line.startswith("| ")]
    assert [line for line in lines if not line.startswith("  ")] == ["1", "2"]
    assert max(map(len, lines)) <= 40


def test_variants_of_a_document_that_ends_are_nothing_and_add_nothing():
    lines = ("abcde", "/variants 2", "1")
    shown = transcript(*lines, generator=Generator(DOCUMENTS, Together(DocumentEngine())))
    assert "| (nothing)" in shown
    assert shown.endswith("# nothing to add: for it the text ends here. Type how it goes on, or /set ignore_eod on\n")


class Together:
    """An engine of one text, for several that are all the same."""

    def __init__(self, engine):
        self.read, self.engine = engine.read, engine

    def write(self, context, config, samples, barred=None, steering=None):
        for block in self.engine.write(context, config, samples[:1], barred):
            yield np.repeat(block, len(samples), axis=1)


@pytest.mark.parametrize("tokenizer", [None, make_word_tokenizer(), make_word_tokenizer("\n")])
def test_with_real_models_the_same_lines_give_the_same_session(tokenizer):
    lines = ("it was", "/alt 4", "3", "/variants 3", "2", "/words 3", "/to a", "/regen", "/variants", "x", "/show")
    one, other = (Transcript(*lines, generator=open_generator(make_stored_model(tokenizer=tokenizer))) for _ in "ab")
    assert one.run() == other.run()
    samples = [one.generator.variants(one.generator.read("it was"), one.session.config, range(4, 7), pytest.fail)]
    assert len(set(samples[0])) > 1


def test_text_without_end_has_variants_with_an_end_and_ends_of_documents_count_again_behind_it():
    shown = transcript(
        "/set endless on", "/variants 2", "/set endless off", "/set ignore_eod", engine=AlphabetEngine(skips=True)
    )
    assert "| 1" + 40 * " " + "2\n| abc" + 38 * " " + "bdf\n" in shown
    assert "\n# ignore_eod  off  " in shown
    pair = [Transcript(generator=open_generator(make_stored_model(tokenizer=DOCUMENTS))) for _ in range(2)]
    for session, lines in zip(pair, (["/set endless on"], ["/set ignore_eod on"]), strict=True):
        session.lines += [*lines, "/variants 3", "2", "/words 9", "/to a"]
        session.run()
    assert pair[0].story == pair[1].story != ""


def test_ctrl_c_while_variants_are_written_leaves_the_story_as_it_was():
    session = Transcript("a", engine=AlphabetEngine())
    session.run()
    session.generator.engine.interrupt_after = 1
    session.lines += ["/variants 2", "1"]
    assert "# stopped; the story is as it was\n" in session.run()
    assert session.story.startswith("abcd 1")  # there was nothing to choose


# ---------------------------------------------------------------- how far


def words_story(*lines, **sampling) -> str:
    return story(*lines, generator=Generator(WORDS, WordEngine()), **sampling)


class Spaced(AlphabetEngine):
    """Writes "ab cd ef, gh. " again and again."""

    def write(self, context, config, samples, barred=None, steering=None):
        while True:
            for symbol in "ab cd ef, gh. ":
                yield np.array([[SYMBOLS.index(symbol)]], np.int32)


def test_so_many_words_once():
    assert story("x", "/words 3", "", engine=Spaced(), length=5) == "xab cdab cd ef,ab cd"
    assert story("/words 2 x and", engine=Spaced()) == "x andab cd"
    assert story("/words 2 x and", engine=Spaced(), length=300, min_length=250) == "x andab cd"
    assert words_story("the", "/words 2", length=3) == "the cat ox cat cat ox"


def test_up_to_a_text_and_with_it_once():
    assert story("x", '/to "."', "", engine=Spaced(), length=5) == "xab cdab cd ef, gh.ab cd"
    assert story("/to d e", engine=Spaced()) == "ab cd e"
    assert story("/to 'd e' x y", engine=Spaced()) == "x yab cd e"
    assert words_story("/to ox c", length=1) == " cat ox c"


def test_a_turn_is_written_again_as_far_as_before():
    session = Transcript("/words 1", "/regen", engine=Spaced(), length=9)
    session.run()
    assert session.story == "ab"


def test_a_text_that_does_not_come_is_said():
    assert notices("x", "/to q", engine=Spaced())[-1] == "'q' did not come within 2,000 characters"


def test_a_model_that_never_ends_a_word_is_stopped():
    assert len(story("/words 3", engine=AlphabetEngine())) == 3 * 64


@pytest.mark.parametrize(
    ("settings", "line", "off"),
    [
        (["regex b.*"], "/words 2 x", "/set regex off"),
        (["must_include do"], "/to d", "/set must_include off"),
        (["temperature 0", "beams 3"], "/to d", "/set beams 1"),  # which looks for the likeliest of that length
        (["regex b.*"], "/regen", "/set regex off"),
    ],
)
def test_a_text_that_must_be_something_as_a_whole_is_not_cut(settings, line, off):
    session = Transcript("/words 2 x", *(f"/set {setting}" for setting in settings), line, engine=Spaced())
    shown = session.run()
    assert session.story == "xab cd"
    assert shown.endswith(
        f"> {line}\n# /words and /to cut a text, and with {off.split()[1]} it must stay whole. {off} first, "
        "or go on without them\n"
    )


@given(st.text(st.sampled_from("ab1 .,'-\n\u738b\u3002\u0e01"), max_size=40), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=60)
def test_so_many_words_are_the_words_that_are_counted(text, words, size):
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    limited = "".join(Reach(words=words).limit(pieces))
    assert text.startswith(limited)
    assert count_words(limited) == min(words, count_words(text))
    assert limited == text or count_words(text[: len(limited) + 1]) > words or text[len(limited)].isspace()


@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=3), st.integers(1, 4))
@settings(max_examples=60)
def test_a_text_is_found_however_it_is_cut(text, mark, size):
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    head, found, _ = text.partition(mark)
    assert "".join(Reach(to=mark).limit(pieces)) == head + found


def test_where_the_rules_leave_nothing_more_a_line_of_its_own_says_so_and_the_story_is_as_it_was():
    session = Transcript("a", generator=open_generator(make_stored_model()), regex="(ab)+c", ban=("bc",), length=8)
    first, written, said, *rest = session.run().splitlines()
    assert (first, written, rest, session.story) == ("> a", "ababab", [], "")
    assert said.startswith("# the text came to a place where the rules together allow nothing more")


def test_why_a_text_ends_is_a_line_of_its_own_behind_it():
    generator = open_generator(make_stored_model(), on_ended=lambda reason: session.session.ended(reason))
    session = Transcript("a", "/variants 2", generator=generator, length=99, no_repeat_ngram=1)
    said = "# a text ends early: whatever could follow is banned, repeated or copied\n"
    assert re.search(f"[^\n]\n{said}> /variants 2\n{said}[|]", session.run())


def test_a_piece_that_is_refused_is_not_shown_and_can_be_chosen_again():
    lines = ("a", "/alt 1", "/set must_include \u2603", "1", "/set must_include off", "1")
    session = Transcript(*lines, generator=open_generator(make_stored_model()))
    assert re.search(r"\n1-1> 1\n# must_include holds '\u2603', .*\n1-1> /set must_include off\n", session.run())
    assert len(session.session.story.turns) == 2


def test_variants_that_come_to_a_dead_end_are_left_out():
    generator = open_generator(make_stored_model(seed=1))
    rules = {"regex": "(ab)+c|(ba)+b?", "ban": ("bc",), "length": 8, "temperature": 1}
    session = Transcript("/variants 20", generator=generator, **rules)
    said = session.run()
    left_out = int(
        re.search(r"# (\d+) of 20 ways to go on came to a place where the rules allow nothing more", said)[1]
    )
    assert len(session.session.offer.texts) == 20 - left_out > 0 < left_out
    assert all(re.fullmatch("(ba)+b?", text) for text in session.session.offer.texts)


REFUSED = [
    ("/alt 0", "/alt expects a number from 1 to 50. Received: 0"),
    ("/alt 10000000", "/alt expects a number from 1 to 50. Received: 10000000"),
    (f"/alt {'9' * 5000}", f"/alt expects a number from 1 to 50. Received: {'9' * 39}…"),
    ("/variants 1000", "/variants expects a number from 1 to 20. Received: 1000"),
    ("/variants \u0661", "/variants expects a number from 1 to 20. Received: \u0661"),
    ("/words", "/words expects a number from 1 to 100,000. Received nothing"),
    ("/words 1e9", "/words expects a number from 1 to 100,000. Received: 1e9"),
    ("/to", '/to expects the text to go on to, 1 to 1,000 characters, as in /to "."'),
    ('/to ""', '/to expects the text to go on to, 1 to 1,000 characters, as in /to "."'),
    ('/to "x', 'a quote is not closed. Received: "x'),
    (f"/to {'x' * 1001}", '/to expects the text to go on to, 1 to 1,000 characters, as in /to "."'),
    ("/show x", "/show expects a number from 1 to 1,000,000. Received: x"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=lambda value: value[:20])
def test_what_cannot_be_done_is_one_line_and_changes_nothing(line, said):
    session = Transcript(line, generator=Generator(CharacterTokenizer(SYMBOLS), AlphabetEngine()))
    assert session.run() == f"> {line}\n# {said}\n"
    assert (session.story, session.session.next_sample) == ("", 0)


def test_variants_that_no_memory_holds_are_refused():
    assert "of memory" in notices("/variants 20", length=2**31 - 1)[0]


def test_the_story_is_shown_turn_by_turn():
    assert transcript("a", "x", "/show", "/show 1").endswith(
        "> /show\n# [1]\nabcd\n# [2]\nxyza\n> /show 1\n# [2]\nxyza\n"
    )
    assert notices("/show") == ["the story is empty"]
