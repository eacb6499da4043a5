"""What runs for long does not grow: resident memory of real processes, after a warm-up and at the end."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_stored_model, slow, write_stored_model
from repl_transcript import AlphabetEngine, Transcript, assert_same

from textgen.repl.story import CONTEXTS_KEPT, Passage, Reader, Story, Turn

# MiB from the end of the warm-up, a tenth of the count, to the end. Measured at the counts of SOAK: generations 0.9, of
# which nearly all is the story itself (60 characters and a few small objects each; it can be undone to the start),
# tokens 0.02, steps 0.8, with 40 evaluations and 20 checkpoints. A session that kept what the network carried for every
# turn grew by 33.
ALLOWANCE = {"generations": 3.0, "engine_tokens": 1.0, "streamed_tokens": 1.0, "steps": 3.0}
COUNTS = {"generations": 200, "engine_tokens": 10_000, "streamed_tokens": 10_000, "steps": 1_000}
SLOW = {"generations": 400, "engine_tokens": 50_000, "streamed_tokens": 50_000, "steps": 3_000}
SOAK = {"generations": 1_000, "engine_tokens": 1_000_000, "streamed_tokens": 1_000_000, "steps": 20_000}


def check_growth(kind: str, count: int, models_dir: Path) -> None:
    write_stored_model(models_dir, make_stored_model(units=16, embedding_size=16))
    program = Path(__file__).with_name("long_life.py")
    command = [sys.executable, str(program), kind, str(models_dir), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = [float(number) for number in done.stdout.split()]
    assert len(measured) == 10
    assert measured[-1] - measured[0] <= ALLOWANCE[kind], measured


@pytest.mark.parametrize(("kind", "count"), [*COUNTS.items(), *(slow(*case) for case in SLOW.items())])
def test_memory_does_not_grow(kind, count, tmp_path):
    check_growth(kind, count, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("kind", SOAK)
def test_memory_does_not_grow_in_a_long_life(kind, tmp_path):
    check_growth(kind, SOAK[kind], tmp_path)


# ---- what a session forgets


def test_only_the_latest_contexts_are_kept_and_an_older_one_is_read_again_as_it_was():
    read = []

    def remembering(text, context):
        read.append(text)
        return (context or "") + text

    reader = Reader(remembering)
    passages = [Passage("0")]
    for number in range(1, 2 * CONTEXTS_KEPT):
        passages.append(Passage(f" {number}", passages[-1]))
        reader.context(passages[-1])
    assert len(reader._contexts) == CONTEXTS_KEPT
    texts = [passage.text for passage in passages]
    assert read == texts
    assert reader.context(passages[-CONTEXTS_KEPT]) == "".join(texts[: 1 - CONTEXTS_KEPT])  # still there
    assert read == texts
    assert reader.context(passages[5]) == "0 1 2 3 4 5"
    assert read == [*texts, *texts[:6]]
    assert len(reader._contexts) == CONTEXTS_KEPT


def test_a_story_goes_on_from_far_back():
    lines = [*["a"] * CONTEXTS_KEPT, *["/undo"] * (CONTEXTS_KEPT - 5), "b. c", "/back"]
    session = Transcript(*lines, engine=AlphabetEngine())
    session.run()
    assert session.story == " ".join([*["abcd"] * 5, "b."])
    assert_same(session.context, session.generator.read(session.story))


def test_a_story_of_very_many_turns_is_read_cut_and_let_go():
    """Turns hang together in a chain as long as the story, longer than Python may recurse."""
    story, turns = Story(), 100_000
    for _ in range(turns):
        story = story.add(Turn.make(story.end, "a", "b"))
    assert story.text == "ab" * turns
    assert story.cut(3).text == "aba"
    assert Reader(lambda text, context: (context or 0) + len(text)).context(story.end) == 2 * turns
    del story
