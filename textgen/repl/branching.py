"""Commands for stories side by side: another one from here, all of them, going to one, how two differ."""

from textgen.messages import counted, harmless, nearest, shown, visible
from textgen.repl.desk import MAX_BRANCHES, MAX_NAME
from textgen.repl.layout import fit, fit_end, side_by_side, width_of
from textgen.repl.session import CommandError, Session
from textgen.repl.story import common_beginning, first_words, last_words

LONGEST_SHOWN = 30  # columns of a name in a table
LEAST_END = 8  # columns of the end of a story, which is left out where there is less room


def make_branch(session: Session, name: str) -> None:
    """Keep the story under its name, and go on under another."""
    branches = session.desk.branches
    if not 1 <= len(name) <= MAX_NAME:
        what = f"Received: {shown(name, 40)}" if name else "Received nothing"
        raise CommandError(f"/branch expects a name of 1 to {MAX_NAME} characters. {what}")
    if name in branches:
        raise CommandError(f"there is a story {shown(name)} already. /go {shown(name)} goes to it")
    if len(branches) >= MAX_BRANCHES:
        raise CommandError(f"there are {MAX_BRANCHES} stories already, which is as many as are kept")
    before = session.desk.name
    session.change_desk(session.desk.with_story(session.story, name))
    session.notice(f"this is the story {harmless(name)} now; {harmless(before)} stays as it is")


def go_to_branch(session: Session, name: str) -> None:
    """Go on with the story of another name."""
    _check_name(session, "/go", name)
    if name != session.desk.name:
        session.change_desk(session.desk.at(name))
    session.say_where()


def list_branches(session: Session, _argument: str) -> None:
    """Show every story by name, with its size and its end; a star marks the present one."""
    desk, width = session.desk, session.columns()
    names = {name: fit(harmless(name), LONGEST_SHOWN) for name in desk.branches}
    sizes = {name: counted(story.num_words, "word") for name, story in desk.branches.items()}
    name_width, size_width = max(map(width_of, names.values())), max(map(len, sizes.values()))
    lines = []
    for name, story in desk.branches.items():
        star = "*" if name == desk.name else " "
        padding = " " * (name_width - width_of(names[name]))
        line = f"{star} {names[name]}{padding}  {sizes[name]:>{size_width}}"
        end = visible(story.text[-width:]).replace("\n", "\\n").replace("\t", "\\t")
        room = width - width_of(line) - 2
        lines.append(f"{line}  {fit_end(end, room)}".rstrip() if room >= LEAST_END else fit(line, width))
    session.show("\n".join(lines))


def show_difference(session: Session, name: str) -> None:
    """Show where another story parts from this one, side by side; without a name the one that is most alike."""
    desk, text = session.desk, session.story.text
    if not name:
        others = [other for other in desk.branches if other != desk.name]
        if not others:
            raise CommandError("there is one story alone. /branch NAME begins another one here")
        name = max(others, key=lambda other: common_beginning(text, desk.branches[other].text))
    _check_name(session, "/diff", name)
    other = desk.branches[name].text
    if other == text:
        session.notice(f"{harmless(desk.name)} and {harmless(name)} are the same")
        return
    begin = common_beginning(text, other)
    end = common_beginning(text[begin:][::-1], other[begin:][::-1])
    middles = [t[begin : len(t) - end] for t in (text, other)]
    labels = [f"[{harmless(label)}]" for label in (desk.name, name)]
    lines = side_by_side(labels, [middle if middle.strip() else "(nothing)" for middle in middles], session.columns())
    if begin:
        lines.insert(0, f"Both begin: {visible(last_words(text[:begin]))}")
    if end:
        lines.append(f"Both end: {visible(first_words(text[len(text) - end :]))}")
    session.show("\n".join(lines))


def _check_name(session: Session, command: str, name: str) -> None:
    if name not in session.desk.branches:
        if not name:
            raise CommandError(f"{command} expects the name of a story. /branches lists them")
        advice = nearest(name, session.desk.branches) or "/branches lists them"
        raise CommandError(f"no story {shown(name, 40)}. {advice}")
