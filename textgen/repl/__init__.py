"""Writing with a model, turn by turn: text in, continuation out, and back again to try another branch.

What goes in: typed lines, through a function. What comes out: generated text and notices, through two others;
so a whole session is tested as a transcript. `story.py` is the growing text with the network's context after
every turn, `session.py` what can be done with it, `files.py` saves and loads texts, `commands.py` holds the
slash commands, `loop.py` reads line after line, `terminal.py` is the keyboard and the screen.
"""

from textgen.repl.loop import Repl

__all__ = ["Repl"]
