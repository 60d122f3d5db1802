"""Reads the documentation as the tests need it: blocks, links, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + list((REPOSITORY / "docs").rglob("*.md"))
)
_FENCE = re.compile(r"^(?P<mark>```+)(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=mark)\s*$", re.DOTALL | re.MULTILINE)
_SOURCE = re.compile(r"<!-- from: (?P<path>\S+) -->\n\Z")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; `source` is the file that it says it was taken from."""

    document: Path
    language: str
    text: str
    source: str | None

    def __str__(self) -> str:
        first = self.text.strip().splitlines()[0][:40]
        return f"{self.document.relative_to(REPOSITORY)}: {first}"


def blocks(language: str | None = None) -> list[Block]:
    """Return the fenced blocks of all documents."""
    found = [block for document in DOCUMENTS for block in _blocks(document)]
    return [block for block in found if language is None or block.language == language]


def _blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        source = _SOURCE.search(text[: match.start()])
        yield Block(document, match["language"], match["text"], source["path"] if source else None)


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def links(document: Path) -> list[str]:
    """Return the targets of its links and pictures."""
    return [match["target"] for match in _LINK.finditer(prose(document))]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives its headings."""
    headings = re.findall(r"^#+\s+(.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def rows(document: Path, heading: str) -> dict[str, str]:
    """Return first cell (without code marks) -> second cell of the tables under a heading; of equal names the first."""
    text = prose(document)
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{heading.count('#')}}} ", text[begin:], re.MULTILINE)
    part = text[begin : begin + end.start()] if end else text[begin:]
    cells = [re.split(r"(?<!\\)\|", row) for row in part.splitlines() if row.startswith("|")]
    found: dict[str, str] = {}
    for cell in cells:
        found.setdefault(cell[1].strip().strip("`"), cell[2].strip())
    return found


def command_lines(document: Path) -> set[str]:
    """Return the `retrain ...` command lines of a document: of its shell blocks, and of its code spans."""
    shell = "\n".join(block.text for block in _blocks(document) if block.language == "bash").replace("\\\n", " ")
    found = re.findall(r"^(?:\w+=\S+ )*(retrain [^|>&\n]+)", shell, re.MULTILINE)
    return {line.strip() for line in found + re.findall(r"`(retrain [a-z][^`]*)`", prose(document))}
