"""Writing a story with a model, turn by turn, and going back to try another branch.

    story     the growing text, in turns, and where the network stands after each
    session   what can be done with a story
    files     a story to a file, a file into a story
    commands  the slash commands
    loop      reads line after line
    terminal  the keyboard and the screen

Lines come from a function, generated text and notices go to two others, so a whole session is tested as a transcript.
"""

from textgen.repl.loop import Repl

__all__ = ["Repl"]
