"""Colours of numbers on a terminal: behind the text, from pale to strong, in the order of lightness.

The text on them is black, so that it can be read whatever the colours of the terminal are.
"""

import os
import sys

import click

STRONGEST = {"char": 8, "word": 16}  # bits from which on the colour is the strongest
RAMP = ((253, 235, 211), (251, 208, 156), (244, 169, 99), (229, 130, 58), (196, 84, 20))  # of 24 bits
RAMP_OF_256 = (230, 223, 216, 209, 202)
STEPS = 16  # between two colours of RAMP

color_option = click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    show_default=True,
    help="Colours on standard output; auto is on a terminal, unless NO_COLOR is set.",
)


def is_wanted(choice: str) -> bool:
    """Whether standard output is to have colours."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def has_true_colours() -> bool:
    """Whether the terminal says that it shows colours of 24 bits."""
    return os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")


def behind(share: float) -> str:
    """The escape sequence of the colour for `share` of the strongest one; "" where there is next to nothing to show."""
    place = min(share, 1.0) * len(RAMP) - 1  # below 0, the ground of the terminal
    if place <= -0.5:
        return ""
    place = max(0.0, place)
    if not has_true_colours():
        return f"\x1b[38;5;16;48;5;{RAMP_OF_256[round(place)]}m"
    place = round(place * STEPS) / STEPS
    index = min(int(place), len(RAMP) - 2)
    mixed = [round(one + (place - index) * (other - one)) for one, other in zip(*RAMP[index : index + 2], strict=True)]
    return "\x1b[38;2;0;0;0;48;2;{};{};{}m".format(*mixed)
