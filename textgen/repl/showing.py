"""The story shown again, and the line below the one that is typed."""

from textgen.messages import counted, harmless
from textgen.repl.choosing import number_in
from textgen.repl.layout import fit, width_of
from textgen.repl.session import Session

MAX_TURNS = 1_000_000


def show_text(session: Session, _argument: str) -> None:
    """Print the story, as text."""
    story = session.story
    if not story.text:
        session.say_where()
        return
    for turn in story.turns:
        session.write_typed(turn.given)
        session.write(turn.written)
    if not story.text.endswith("\n"):
        session.write("\n")


def show_turns(session: Session, argument: str) -> None:
    """Print the story turn by turn, each under its number; if a number is given, so many of the last."""
    turns = session.story.turns
    count = number_in("/show", argument, MAX_TURNS, MAX_TURNS)
    if not session.story.text:
        session.say_where()
        return
    for number, turn in list(enumerate(turns, 1))[-count:]:
        session.notice(f"[{number}]")
        given = turn.given.lstrip()
        session.write_typed(given)
        session.write((turn.written if given else turn.written.lstrip()).rstrip() + "\n")


def status_line(session: Session, width: int) -> str:
    """Model, words, settings and speed on one line of at most `width` columns; the least important go first."""
    from textgen.repl.commands import shown_value  # noqa: PLC0415  (which has what is here in its table)

    config, desk = session.config, session.desk
    temperature, seed = shown_value(config.temperature), shown_value(config.seed)
    model, words = harmless(session.model.name), counted(session.story.num_words, "word")
    speed = session.tokens_per_second
    rate = "" if speed is None else f"{speed:,.0f}"
    name = harmless(desk.name) if len(desk.branches) > 1 else ""
    kept = harmless(session.file.path.name) if session.file else ""
    long = [model, f"temperature {temperature}", f"seed {seed}", words, rate and f"{rate} tokens/s", name, kept]
    short = [model, words, f"t {temperature}", f"seed {seed}", name, rate and f"{rate}/s", kept]
    for parts in (long, *(short[:most] for most in range(len(short), 1, -1))):
        line = " " + "  ".join(part for part in parts if part)
        if width_of(line) <= width:
            return line
    return fit(f" {words}", width)
