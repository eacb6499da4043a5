"""Small documents of every format, made as programs write them."""

import io
import json
import zipfile

WORD = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
OPEN_DOCUMENT = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"'
)
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def archive(members: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", compression) as written:
            for name, content in members.items():
                written.writestr(name, content)
        return file.getvalue()


def word(body: str, before: str = "", **parts: str) -> bytes:
    """A .docx whose main part has `body`; `parts` are others, called without their ending."""
    document = f"{before}<w:document {WORD}><w:body>{body}</w:body></w:document>"
    others = {f"word/{name}.xml": f"<w:{name} {WORD}>{content}</w:{name}>" for name, content in parts.items()}
    return archive({"[Content_Types].xml": "<Types/>", "word/document.xml": document} | others)


def paragraph(text: str) -> str:
    """Of a Word document."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def odt(body: str, manifest: str = "<manifest/>") -> bytes:
    """An .odt whose text is `body`."""
    content = f"<office:document-content {OPEN_DOCUMENT}><office:body><office:text>{body}"
    members = {"mimetype": "application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": manifest}
    return archive(members | {"content.xml": f"{content}</office:text></office:body></office:document-content>"})


def epub(chapters: dict[str, str | bytes], order: list[str] | None = None, **others: str) -> bytes:
    """An .epub with `chapters` by their file names, read in `order`; `others` are members of META-INF."""
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters)
    items += '<item id="toc" href="toc.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    spine = "".join(f'<itemref idref="{name}"/>' for name in ["toc", *(order or chapters)])
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    )
    members = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package}
    members |= {f"META-INF/{name}.xml": content for name, content in others.items()}
    pages = {f"OEBPS/{name}": content for name, content in chapters.items()}
    return archive(members | {"OEBPS/toc.xhtml": "<html><body><nav>Contents</nav></body></html>"} | pages)


def notebook(*cells: tuple[str, str | list[str]]) -> str:
    """An .ipynb of cells: kind and source."""
    made = [{"cell_type": kind, "source": source, "outputs": [{"text": "OUTPUT"}]} for kind, source in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def pdf(*pages: list[str]) -> bytes:
    """A PDF of pages of lines, written by hand."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        drawn = "".join(f"BT /F1 12 Tf 72 {700 - 14 * row} Td ({line}) Tj ET\n" for row, line in enumerate(lines))
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}endstream")
    content, places = "%PDF-1.4\n", []
    for number, written in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{written}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(content)}\n%%EOF\n"
    return f"{content}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")


def encrypted(content: bytes, user_password: str) -> bytes:
    """A PDF that is closed to changes, and to readers without the password if that is not empty."""
    from pypdf import PdfReader, PdfWriter

    with io.BytesIO() as file:
        writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
        writer.encrypt(user_password, "owner", algorithm="RC4-128")
        writer.write(file)
        return file.getvalue()
