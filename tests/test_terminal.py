"""What a person sees of a run, in a terminal and in a file."""

import dataclasses
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from screens import Screen, shown_plan

from textgen.config import ModelConfig, TrainingConfig
from textgen.messages import in_words
from textgen.model.devices import Device
from textgen.recipe import Asked, Facts, Recipe, fill
from textgen.records import Evaluated, ParentRecord, ResultRecord
from textgen.store.model_directory import num_parameters
from textgen.training.layout import labelled, sample_lines, wrapped
from textgen.training.results import TrainingResult

ROW = Evaluated(
    step=1200,
    epoch=2.5,
    learning_rate=0.006,
    train_loss=1.6543,
    validation_loss=1.7123,
    bits_per_character=2.4703,
    tokens_per_second=30_000.0,
    seconds=60.0,
    sample="It was the best\n  of times",
)
RESULTS = ResultRecord(
    steps=4000,
    total_steps=4000,
    best_step=4000,
    epochs=8.25,
    train_loss=1.5,
    validation_loss=1.57721,
    validation_bits_per_character=2.27543,
    tokens_per_second=31_234.0,
    seconds=119.6,
)


@pytest.fixture(autouse=True)
def models_dir(monkeypatch) -> Path:
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    return Path("saved_models")


def recipe_of(**training) -> Recipe:
    """For a million characters, on a machine of 180 billion operations per second."""
    return fill(Asked(ModelConfig(), TrainingConfig(**training)), Facts("char", 1_000_000, 65, 180e9))


def result_of(results: ResultRecord = RESULTS, path: str = "saved_models/novel", stopped_by: int | None = None):
    return TrainingResult(Path(path).name, Path(path), results, stopped_by)


# ---- before


def test_the_plan_says_text_model_and_settings_in_three_lines():
    screen = Screen(verbose=True)
    screen.reporter.planned(shown_plan())
    assert screen.lines == [
        "    corpus  novel: 111,111 characters (100,000 to learn from, 11,111 to validate on)",
        "     model  2 x 128 LSTM, embedding 64, vocabulary 65, 242,945 parameters",
        "  training  batches of 16 x 64, learning rate 0.006, dropout 0.05, weight decay 0, seed 0",
    ]


def test_a_writer_reads_no_rates_and_hears_of_the_device_where_it_is_a_gpu():
    screen = Screen()
    screen.reporter.planned(shown_plan())
    screen.reporter.placed(Device("CPU", False, "because"))
    screen.reporter.placed(Device("GPU", True, "because"))
    screen.reporter.inherited(shown_plan(), ParentRecord("old", "0" * 64, 1), 1.5)
    assert screen.lines[1:] == [
        "     model  2 x 128 LSTM, 242,945 parameters",
        "    device  GPU; cuDNN is used: because",
        "    before  old: 2.164 bits per character; 1 character added",
    ]


def test_the_plan_of_words_counts_tokens_and_says_what_is_tied_and_sampled():
    screen = Screen(verbose=True)
    training = {"num_sampled": 2_048, "activation_reg": 2.0}
    words = shown_plan(level="word", training=training, vocabulary_size=10_000, tied=True)
    screen.reporter.planned(words)
    assert screen.lines == [
        "    corpus  novel: 111,111 characters (tokens: 100,000 to learn from, 11,111 to validate on)",
        f"     model  2 x 128 LSTM, embedding 64 (tied), vocabulary 10,000, {num_parameters(words.model):,} parameters",
        "  training  batches of 16 x 64, learning rate 0.006, dropout 0.05, weight decay 0, "
        "activation penalty 2, seed 0, 2,048 sampled tokens per step",
    ]


def test_the_plan_of_documents_counts_them():
    screen = Screen()
    screen.reporter.planned(shown_plan(documents="line", num_documents=1_234))
    assert screen.lines[0].endswith(
        "(100,000 to learn from, 11,111 to validate on; 1,234 documents, 123 of them to validate on)"
    )


def test_a_small_corpus_is_prepared_without_a_bar_and_a_large_one_with_one_that_goes_away():
    screen = Screen(terminal=True)
    screen.reporter.preparing("reading", 5, 9_999_999)
    assert screen.file.getvalue() == ""
    screen.reporter.preparing("reading", 5_000_000, 10_000_000)
    screen.reporter.preparing("writing", 1_000_000, 10_000_000)
    screen.reporter.planned(shown_plan())
    shown = screen.file.getvalue()
    assert "reading" in shown
    assert "5.0/10.0 MB" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert [line for line in screen.lines if "corpus" in line]


def test_a_corpus_that_cannot_be_prepared_gives_the_cursor_back():
    screen = Screen(terminal=True)

    def prepare():
        with screen.reporter as reporter:
            reporter.preparing("reading", 5, 10_000_000)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        prepare()
    assert screen.file.getvalue().count("\x1b[?25l") == screen.file.getvalue().count("\x1b[?25h") == 1


def test_in_a_file_a_large_corpus_has_no_bar_either():
    screen = Screen()
    screen.reporter.preparing("reading", 5, 10**9)
    assert screen.file.getvalue() == ""


def test_notes_of_the_corpus_come_first():
    screen = Screen()
    screen.reporter.planned(shown_plan(notes=("2 files read", "1 byte-order mark removed")))
    assert screen.lines[:2] == ["note: 2 files read", "note: 1 byte-order mark removed"]


def test_the_size_is_said_with_the_reason_for_it():
    screen, recipe = Screen(), recipe_of(minutes=2.0)
    screen.reporter.planned(shown_plan(recipe=recipe))
    assert (
        screen.lines[1]
        == f"      size  medium: the budget pays for {recipe.reason} (--preset, and every flag, overrules)"
    )


def test_another_model_for_the_speed_of_this_machine_is_shown_whole():
    screen, recipe = Screen(verbose=True), recipe_of(minutes=2.0)
    slow = recipe.at_speed(recipe.tokens_per_second / 10)
    screen.reporter.planned_again(shown_plan().by(slow), 3_456.7)
    lines = screen.lines
    assert lines[0] == "     speed  3,457 tokens per second, which changes what is best:"
    assert lines[1].startswith("      size  small: the budget pays for ")
    assert lines[2].startswith("     model  2 x 128 LSTM")
    assert lines[3].startswith("  training  batches of 16 x 64")


def test_a_model_to_begin_with_is_named_with_what_it_lacks_and_how_well_it_does():
    screen = Screen(verbose=True)
    screen.reporter.inherited(shown_plan(), ParentRecord("old", "0" * 64, 1), 1.5)
    screen.reporter.inherited(shown_plan(level="word"), ParentRecord("old", "0" * 64, 0, 2345), None)
    assert screen.lines == [
        "    before  old: 1.50 nats per character on the validation part, 2.164 bits per character; 1 character added",
        "    before  old: 0 characters and 2,345 words added",
    ]


def test_what_a_run_begins_with_is_said_with_flags_and_the_size_is_not():
    screen = Screen()
    screen.reporter.begins("from nothing: `units=9` was given, and english has 512")
    assert screen.lines == ["    begins  from nothing: --units 9 was given, and english has 512"]
    recipe = recipe_of(minutes=2.0)
    trained = recipe._replace(facts=recipe.facts._replace(begins_at=0.5))
    screen.reporter.planned(shown_plan(recipe=trained))
    assert not any(line.lstrip().startswith("size") for line in screen.lines)


@pytest.mark.parametrize(
    ("cudnn", "said"), [(True, "GPU; cuDNN is used: because"), (False, "GPU; cuDNN is not used: because")]
)
def test_the_device_is_named_with_the_reason_for_cudnn(cudnn, said):
    screen = Screen(verbose=True)
    screen.reporter.placed(Device("GPU", cudnn, "because"))
    assert screen.lines == [f"    device  {said}"]


def test_the_start_says_how_many_steps_and_how_long():
    screen = Screen()
    screen.reporter.started(shown_plan(), 0, 0.03)
    screen.reporter.started(shown_plan(), 0, None)
    screen.reporter.started(shown_plan(), 1200, None)
    epochs = shown_plan().epochs
    assert screen.lines == [
        f"     steps  4,000 ({epochs:.1f} passes over the text), about 2.0 minutes of training",
        f"     steps  4,000 ({epochs:.1f} passes over the text)",
        f"     steps  4,000 ({epochs:.1f} passes over the text), from step 1,200 on",
    ]


def test_a_text_that_is_worth_no_more_steps_is_said_to_be():
    screen, recipe = Screen(), recipe_of(minutes=2.0)
    recipe = recipe._replace(facts=recipe.facts._replace(begins_at=0.5))
    plan = shown_plan(recipe=recipe)
    plan = dataclasses.replace(plan, total_steps=recipe.most_steps(plan.batches))
    screen.reporter.started(plan, 0, None)
    assert screen.lines == [
        f"     steps  {plan.total_steps:,} (8.0 passes over the text), and no more: the text would be learned by heart"
    ]


def test_engineers_are_told_the_rate_that_suits_the_measured_number_of_steps():
    screen, recipe = Screen(verbose=True), recipe_of(minutes=2.0)
    recipe = recipe._replace(facts=recipe.facts._replace(begins_at=0.5)).in_passes(6.0)
    plan = shown_plan(recipe=recipe).by(recipe)
    screen.reporter.started(plan, 0, None)
    screen.reporter.would_start(plan, None)
    line = f"     steps  4,000 ({plan.epochs:.1f} passes over the text); learning rate 0.0013 for so many"
    assert screen.lines[:2] == [line, line]


def test_a_rate_that_was_given_is_not_said_to_suit_the_number_of_steps():
    screen, recipe = Screen(verbose=True), recipe_of(minutes=2.0, learning_rate=0.01)
    recipe = recipe._replace(facts=recipe.facts._replace(begins_at=0.5)).in_passes(6.0)
    plan = shown_plan(recipe=recipe).by(recipe)
    screen.reporter.started(plan, 0, None)
    assert screen.lines == [f"     steps  4,000 ({plan.epochs:.1f} passes over the text)"]


def test_a_dry_run_says_that_nothing_was_written():
    screen = Screen()
    screen.reporter.measuring()
    screen.reporter.would_start(shown_plan(), 0.015)
    assert screen.lines == [
        "    budget  measuring the speed of this machine ...",
        f"     steps  4,000 ({shown_plan().epochs:.1f} passes over the text), about 1.0 minutes of training",
        "      disk  checkpoints take up to 12 MB during the run, the model about 1.0 MB",
        "            would be written to saved_models/novel; nothing was",
    ]


def test_a_text_that_the_first_model_has_read_is_said_before_and_beside_the_last_figure():
    screen = Screen()
    parent = ParentRecord("old", "0" * 64, read_before=0.62)
    plan = shown_plan()
    plan.__dict__["parent"] = parent
    screen.reporter.planned(plan)
    read = "old has read about 62% of this text before"
    assert f"note: {read}, so the figures of this run are better than on a new text" in screen.lines
    screen.reporter.finished(result_of())
    (line,) = [line for line in screen.lines if line.lstrip().startswith("result")]
    assert line.endswith(f"lower is better; {read}")


# ---- while it runs


def test_a_table_grows_by_a_row_an_evaluation_with_the_best_marked():
    screen = Screen()
    screen.reporter.evaluated(ROW, True)
    screen.reporter.evaluated(dataclasses.replace(ROW, seconds=3723.4, validation_loss=1.9), False)
    assert screen.lines == [
        "",
        "    time   pass    loss validation   bits  best",
        "    1:00    2.5   1.654      1.712   2.47     ✓",
        "            It was the best",
        "              of times",
        " 1:02:03    2.5   1.654      1.900   2.47",
        "            It was the best",
        "              of times",
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (120, "time pass loss validation bits best"),
        (80, "time pass loss validation bits best"),
        (48, "time pass validation bits best"),
        (40, "time pass bits best"),
        (20, "time bits"),
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_every_line_fits(width, headings):
    screen = Screen(terminal=True, width=width, _environ={"TERM": "dumb"})
    live = Screen(terminal=True, width=width)
    with screen.reporter as reporter, live.reporter:
        live.reporter.started(shown_plan(), 0, 0.03)
        reporter.planned(shown_plan(notes=("about a thousand lines of the text are of no use to anybody here",)))
        reporter.started(shown_plan(), 0, 0.03)
        for _ in range(3):
            reporter.evaluated(dataclasses.replace(ROW, sample="It was the best of times, " * 9), True)
        live.reporter.evaluated(ROW, True)
        live.reporter.stepped(3000, 2.5, 1.5, 30_000.0)
        below = rendered(live, live.reporter._below())
        reporter.finished(result_of())
    lines = screen.lines
    assert [line.split() for line in lines if line.lstrip().startswith("time ")] == [headings.split()]
    assert max(map(len, [*lines, *below])) <= max(width, len("saved_models/novel") + 2)
    said = " ".join(line.strip() for line in lines)
    assert "note: about a thousand lines of the text are of no use to anybody here" in said
    assert "lower is better" in said


def test_an_engineer_reads_an_evaluation_in_one_line_and_its_sample():
    screen = Screen(verbose=True)
    screen.reporter.evaluated(ROW, True)
    screen.reporter.evaluated(ROW, False)
    figures = "step 1,200  epoch 2.5  loss 1.654  validation 1.712 nats, 2.47 bits per character"
    sample = ["            It was the best", "              of times"]
    assert screen.lines == [figures, *sample, f"{figures}  (not the best)", *sample]


def test_without_validation_there_is_only_the_train_loss():
    row = dataclasses.replace(ROW, validation_loss=None, bits_per_character=None)
    for verbose, last in ((False, "    1:00    2.5   1.654"), (True, "step 1,200  epoch 2.5  loss 1.654")):
        screen = Screen(verbose=verbose)
        screen.reporter.evaluated(row, True)
        assert screen.lines[-3] == last


def test_the_loss_of_a_word_model_says_that_it_is_per_token():
    screen = Screen(verbose=True)
    screen.reporter.planned(shown_plan(level="word"))
    screen.reporter.evaluated(ROW, True)
    screen.reporter.finished(result_of())
    lines = screen.lines
    assert "step 1,200  epoch 2.5  loss 1.654  validation 1.712 nats per token, 2.47 bits per character" in lines
    assert "validation  1.5772 nats per token, 2.275 bits per character" in lines


VERSE = "\n\n\nO rose,\n\tthou art sick!\n\n\n\nThe invisible worm\x1b[2J\n\n"


def test_a_sample_keeps_its_shape_without_what_is_blank_around_it():
    shaped = ["    O rose,", "        thou art sick!", "", "    The invisible worm␛[2J"]
    assert sample_lines(VERSE, 80, 8) == shaped
    assert [line[8:] for line in sample_lines(VERSE, None, 8)] == shaped
    assert sample_lines(VERSE, 80, 3) == [*shaped[:2], "     …"]


@pytest.mark.parametrize("width", [10, 20, 40, 80, 120])
@pytest.mark.parametrize(
    "text", ["It was the best of times, " * 9, "長い夜の歌を聞く" * 20, "x" * 300, "  deep\n" * 30]
)
def test_a_sample_fits_its_terminal_in_columns_and_lines_and_says_where_it_is_cut(width, text):
    lines = sample_lines(text, width, 5)
    assert len(lines) <= 5
    assert max(map(cell_len, lines)) <= max(12, width)
    shown = "".join("".join(lines).split())
    assert shown == "".join(text.split()) or (shown[-1] == "…" and "".join(text.split()).startswith(shown[:-1]))
    if " the " in text and width >= 20:
        assert {word for line in lines for word in line.split()} <= {*text.split(), "…"}


def test_words_are_wrapped_and_never_broken():
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("see /a/very/long/path now", 8) == ["see", "/a/very/long/path", "now"]
    assert wrapped("長い 夜の歌", 6) == ["長い", "夜の歌"]
    assert labelled("note", "one two three four five six seven", 36) == [
        ("      note  ", "one two three four five"),
        (" " * 12, "six seven"),
    ]
    assert labelled("note", "one two three four", 16) == [("note", ""), ("  ", "one two three"), ("  ", "four")]


def test_a_long_command_can_be_copied_whole():
    screen = Screen(terminal=True, width=40)
    screen.reporter.finished(result_of(path="my models/novel"))
    lines = screen.lines
    start = next(number for number, line in enumerate(lines) if "sample it" in line)
    assert "".join(line.removesuffix("\\").strip() + " " for line in lines[start:]).split() == [
        *("sample", "it"),
        *("textgen", "sample", "novel", "--models-dir", "'my", "models'"),
    ]
    assert [line.endswith(" \\") for line in lines[start:]] == [True] * (len(lines[start:]) - 1) + [False]


@pytest.mark.parametrize(
    "settings", [{"no_color": True}, {"color_system": "auto", "_environ": {"TERM": "dumb"}}], ids=["NO_COLOR", "dumb"]
)
def test_without_colours_there_are_none_and_a_dumb_terminal_has_nothing_that_moves(settings):
    screen = Screen(terminal=True, width=60, **settings)
    with screen.reporter as reporter:
        reporter.planned(shown_plan())
        reporter.started(shown_plan(), 0, None)
        reporter.evaluated(ROW, True)
        reporter.stepped(1300, 2.6, 1.5, 30_000.0)
        reporter.finished(result_of())
    written = screen.file.getvalue()
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", written)
    assert ("\x1b" in written) == ("no_color" in settings)
    assert written.count("      of times") == 1 or "no_color" in settings


def test_only_the_newest_sample_stands_below_the_table():
    screen = Screen(terminal=True, width=80, height=24)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 0, None)
        for sample in ("first words", "second words"):
            reporter.evaluated(dataclasses.replace(ROW, sample=sample), True)
        below = [line.rstrip() for line in rendered(screen, reporter._below())]
    assert below[:4] == ["", "    second words", "", f"    {in_words(2.4703)}"]
    assert "pass" not in "".join(below[:5])
    left = [line.rstrip() for line in rendered(screen, reporter._below())]  # afterwards
    assert left == ["", "    second words"]


def test_a_low_terminal_has_its_live_line_and_no_sample():
    screen = Screen(terminal=True, width=80, height=8)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 0, None)
        reporter.evaluated(ROW, True)
        assert "It was" not in "".join(rendered(screen, reporter._below()))
        assert len(rendered(screen, reporter._below())) < 8


def rendered(screen: Screen, renderable) -> list[str]:
    lines = screen.console.render_lines(renderable, pad=False)
    return ["".join(segment.text for segment in line) for line in lines]


@pytest.mark.parametrize(
    "text", ["[bold]x[/bold]", "[/dim]", "a[0] = b[1]", r"\[x]", "\\", r"\\", r"\\\ ", ":smile: http://a.b 12", "[red"]
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_sample_is_shown_as_the_model_wrote_it(text, terminal):
    screen = Screen(terminal=terminal)
    screen.reporter.evaluated(dataclasses.replace(ROW, sample=f"so {text}"), True)
    screen.reporter.close()
    shown = screen.lines if not terminal else rendered(screen, screen.reporter._below())
    assert shown[-1].rstrip().lstrip() == f"so {text}".rstrip()


@pytest.mark.parametrize("text", ["[bold]x[/bold]", r"a\[b]", ":smile:", "\\"])
def test_names_paths_and_notes_are_shown_as_they_are(text):
    screen = Screen()
    screen.reporter.noted(f"about {text}")
    screen.reporter.finished(result_of(path=f"saved_models/{text}"))
    lines = screen.lines
    assert lines[0] == f"note: about {text}"
    assert f"     model  saved_models/{text}" in lines


def test_a_long_line_of_a_file_is_not_broken():
    screen = Screen(width=40)
    screen.reporter.evaluated(dataclasses.replace(ROW, sample="word " * 30), True)
    assert len(screen.lines) == 4


def test_in_a_file_there_is_no_bar():
    screen = Screen()
    screen.reporter.started(shown_plan(), 0, None)
    before = screen.file.getvalue()
    for step in range(1, 20):
        screen.reporter.stepped(step, step / 100, 2.0, 1000.0)
    screen.reporter.close()
    assert screen.file.getvalue() == before
    assert "\x1b" not in before.replace("\x1b[36m", "").replace("\x1b[0m", "")  # colours at most, no cursor moves


def test_the_live_line_shows_pass_loss_and_what_is_left_and_gives_the_cursor_back():
    screen = Screen(terminal=True, width=80)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 0, None)
        reporter.stepped(1, 0.25, 2.0, 12_345.0)
        reporter.stepped(2000, 4.5, 1.0, 12_345.0)
        assert "\x1b[?25l" in screen.file.getvalue()  # the cursor is hidden
        bar = rendered(screen, reporter._below())[-1]
    for part in ("50%", f"pass 4.5 of {shown_plan().epochs:.1f}", "loss 1.95", "left"):
        assert part in bar
    assert screen.file.getvalue().count("\x1b[?25l") == screen.file.getvalue().count("\x1b[?25h")


def test_an_engineers_live_line_shows_epoch_loss_validation_and_speed():
    screen = Screen(terminal=True, width=160, verbose=True)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 0, None)
        reporter.stepped(1, 0.25, 2.0, 12_345.0)
        reporter.evaluated(ROW, True)
        reporter.stepped(2000, 4.5, 1.0, 12_345.0)
        bar = rendered(screen, reporter._below())[-1]
    for part in ("epoch 4.5", "2000/4000", "loss 1.950", "val 1.712 (2.47 bits/char)", "12,345 tok/s"):
        assert part in bar


def test_a_new_number_of_steps_is_a_line_where_it_is_far_from_what_was_said_and_in_the_bar_always():
    screen = Screen(terminal=True)
    screen.reporter.started(shown_plan(), 0, 0.5)
    for total in (3_680, 3_200, 3_000, 3_320, 4_000):
        screen.reporter.settled_again(total, 2.5)
        assert screen.reporter.bar.tasks[0].total == total
    screen.reporter.close()
    said = re.findall(
        r"steps  now ([\d,]+) \(2.5 passes over the text\), to end in time at the speed of now", "\n".join(screen.lines)
    )
    assert said == ["3,200", "4,000"]


def test_a_run_that_goes_back_says_so_in_a_line_and_the_bar_forgets_the_losses_that_ran_away():
    screen = Screen(terminal=True)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 0, None)
        for step in range(1000, 1010):
            reporter.stepped(step, 2.0, 500.0, 1000.0)
        reporter.rolled_back(900, "the loss exploded")
        assert reporter.bar.tasks[0].completed == 900
        reporter.stepped(901, 2.0, 1.5, 1000.0)
        assert "loss 1.50" in rendered(screen, reporter._below())[-1]
    assert "note: the loss exploded\n" in screen.console.export_text()


def test_a_resumed_bar_begins_where_the_run_was():
    screen = Screen(terminal=True, width=160)
    with screen.reporter as reporter:
        reporter.started(shown_plan(), 1200, None)
        assert " 30%" in rendered(screen, reporter._below())[-1]


def test_the_cursor_comes_back_when_the_run_fails():
    screen = Screen(terminal=True)

    def run():
        with screen.reporter as reporter:
            reporter.started(shown_plan(), 0, None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert screen.file.getvalue().rstrip().endswith("\x1b[?25h")


# ---- afterwards


def test_the_summary_says_figures_place_and_what_to_type_next():
    screen = Screen()
    screen.reporter.finished(result_of())
    assert screen.lines == [
        "      done  in 2:00: 4,000 steps, 8.2 passes over the text",
        "    result  how well it predicts: 2.28 bits per character, lower is better",
        "     model  saved_models/novel",
        " sample it  textgen sample novel",
    ]


def test_an_engineers_summary_has_nats_and_speed():
    screen = Screen(verbose=True)
    screen.reporter.finished(result_of())
    assert screen.lines[:2] == [
        "      done  4,000 steps, 8.2 epochs, 120 s, 31,234 tokens per second",
        "validation  1.5772 nats per character, 2.275 bits per character",
    ]


def test_the_summary_says_where_the_documents_that_it_wrote_are_found():
    screen = Screen()
    counts = {"samples_new": 81, "samples_in_training": 12, "samples_in_validation": 5}
    screen.reporter.finished(result_of(dataclasses.replace(RESULTS, **counts)))
    assert screen.lines[2] == (
        "   samples  of 98 documents that it wrote 81 are new, 12 learned by heart, 5 in the validation part"
    )


@pytest.mark.parametrize(
    ("length", "text", "shown"),
    [
        (23, "and the\ncaptain\x1b[2J said", "23 characters: “and the captain␛[2J said”"),
        (230, "and so " * 28 + "and ", f"230 characters: “{('and so ' * 28).strip()} and ...”"),
        (1, "a", "1 character: “a”"),
    ],
)
def test_the_summary_shows_the_longest_run_that_it_copied(length, text, shown):
    screen = Screen()
    copied = {"longest_copy": length, "longest_copy_text": text, "longest_copy_among": 2001}
    screen.reporter.finished(result_of(dataclasses.replace(RESULTS, **copied)))
    assert screen.lines[2] == (
        f"    copies  in 2,001 characters that it wrote, the longest run that stands in your text is {shown}"
    )


def test_the_summary_names_the_best_step_when_it_is_not_the_last():
    screen = Screen()
    screen.reporter.finished(result_of(dataclasses.replace(RESULTS, best_step=3200)))
    assert screen.lines[1].endswith("lower is better, best at step 3,200")


def test_without_validation_the_summary_has_no_such_line():
    screen = Screen()
    no_loss = dataclasses.replace(RESULTS, validation_loss=None, validation_bits_per_character=None)
    screen.reporter.finished(result_of(no_loss))
    assert [line.split()[0] for line in screen.lines] == ["done", "model", "sample"]


def test_a_stopped_run_says_where_and_how_to_go_on():
    screen = Screen()
    screen.reporter.finished(result_of(dataclasses.replace(RESULTS, steps=1234), stopped_by=2))
    assert screen.lines == [
        "   stopped  at step 1,234 of 4,000; everything is saved",
        "     go on  textgen train --resume --name novel",
    ]


def test_a_models_directory_of_ones_own_is_part_of_what_to_type():
    screen = Screen()
    screen.reporter.finished(result_of(path="my models/novel"))
    screen.reporter.finished(result_of(path="my models/novel", stopped_by=15))
    lines = screen.lines
    assert " sample it  textgen sample novel --models-dir 'my models'" in lines
    assert lines[-1] == "     go on  textgen train --resume --name novel --models-dir 'my models'"
