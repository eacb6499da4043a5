"""A writing desk: stories that a writer and a model write in turns, with branches and ways to go on to choose from.

    reach         how far one turn goes
    story         the growing text, in turns, and where the network stands after each
    desk          stories by name, and what was there before each change
    session       what can be done with them
    layout        texts wrapped, side by side, shortened
    choosing      commands: ways to go on
    branching     commands: stories side by side
    files         a story to a file, a file into a story
    keyboard      whether the terminal shows keys
    editing       the story in an editor
    session_file  a session in a file, and back
    showing       the story shown again; the line of what is set
    page          the story on a screen, in whole words
    commands      the table of slash commands
    loop          reads line after line
    completion    what a line can become
    terminal      the line that is typed, and the screen

Lines come from a function; the text and what is said of it go to others. So a whole session is tested as a transcript.
"""

from textgen.repl.loop import Repl
from textgen.repl.session import Session

__all__ = ["Repl", "Session"]
