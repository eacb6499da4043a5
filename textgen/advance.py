"""How a long task says how far it is: it is given a function, and calls it now and then."""

from collections.abc import Callable

Advance = Callable[[int, int], None]  # what is done and what there is to do, both in bytes or both in tokens


def unwatched(done: int, to_do: int) -> None:
    """The `Advance` of a task that nobody watches."""
