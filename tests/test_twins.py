"""Rules that are written twice, with NumPy and with TensorFlow: both name the numbers of one list."""

import re
from pathlib import Path

import pytest

import textgen

GENERATION = Path(textgen.__file__).parent / "generation"
# Rules that only the first of the twins has: an exported model leaves stop strings to its caller.
ALONE = {"ending": {7, 9}}


def rules_named(source: str) -> set[int]:
    """The numbers of `# rule 3` and `# rules 3 and 4`."""
    comments = re.findall(r"# rules? (\d+)(?: and (\d+))?", source)
    return {int(number) for found in comments for number in found if number}


@pytest.mark.parametrize("name", ["banning", "ending", "philox", "sampling"])
def test_both_twins_follow_every_rule_of_the_list_by_its_number(name):
    source, twin = ((GENERATION / f"{prefix}{name}.py").read_text() for prefix in ("", "graph_"))
    listed = [int(number) for number in re.findall(r"^(\d+)\. [A-Z`]", source.split('"""')[1], re.MULTILINE)]
    assert listed == list(range(1, len(listed) + 1))
    assert rules_named(source) == set(listed)
    assert rules_named(twin) == set(listed) - ALONE.get(name, set())
