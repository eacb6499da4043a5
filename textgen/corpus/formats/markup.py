"""XML of unknown origin -> events, and what the paragraphs of all documents have in common.

No entity is defined, nothing outside is fetched, and no tree is built: the events are told to a target as they come,
so that neither nested elements nor entities that name each other can fill the memory.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Protocol
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from textgen.corpus.formats import DocumentError

TRAILING_SPACE = re.compile(r"[ \t]+(?=\n|\Z)")


class Target(Protocol):
    """What is told of an XML document, in its order."""

    def start(self, tag: str, attributes: Mapping[str, str], /) -> None:
        """An element begins; names are `{namespace}name`."""

    def end(self, tag: str, /) -> None:
        """An element ends."""

    def data(self, text: str, /) -> None:
        """Text between tags."""


def read_xml(data: bytes, target: Target, shown_name: str) -> None:
    """Tell `target` all events of the XML in `data`. Raises DocumentError."""
    parser = XMLParser(target=target, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(data)
        parser.close()
    except DefusedXmlException:
        raise DocumentError(
            f"{shown_name} defines entities in its XML, which no document needs; it is not read."
        ) from None
    except (ParseError, LookupError, ValueError) as error:
        raise DocumentError(
            f"{shown_name} is damaged: its XML cannot be read ({error!s:.80}). Copy it again."
        ) from None


def joined(paragraphs: Iterable[str]) -> str:
    """Paragraphs with blank lines between them; those of white space alone are left out."""
    trimmed = (TRAILING_SPACE.sub("", paragraph).strip("\n") for paragraph in paragraphs)
    return "\n\n".join(paragraph for paragraph in trimmed if paragraph.strip())
