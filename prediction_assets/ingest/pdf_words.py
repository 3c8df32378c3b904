"""The words of a PDF and where they are, read in a process of its own with limits.

A PDF from outside may be made to hang its reader or to eat its memory; then only that process ends. The process is this
module: ``python -m prediction_assets.ingest.pdf_words`` takes the document on its standard input and writes JSON. What
doesn't belong here: what the words mean.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from prediction_assets.errors import BadInput

# The longest official report so far has 15 pages, 150 kB, and 20 kB of instructions a page; reading it takes a second.
_LARGEST_FILE = 5 * 1024 * 1024
_MOST_PAGES = 60
_LONGEST_PAGE = 2 * 1024 * 1024
_LARGEST_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 20
_SECONDS = 60.0
"""More than the CPU's, for a machine that is busy with other things."""

_REFUSED = 3
"""The child's exit code after it wrote why it refuses the document."""


class Word(NamedTuple):
    """A piece of text, as long as the document draws it at once."""

    page: int  # counts from 0
    top: float  # points from the top of the page as it is read; only differences have a meaning
    left: float  # points from the left
    text: str  # without surrounding blanks


def read_words(path: Path) -> list[Word]:
    """Return a PDF's words in the order in which it draws them.

    Raises:
        BadInput: the file isn't a PDF, is damaged or encrypted, or its reading exceeds a limit.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BadInput(path, f"the PDF is larger than {_LARGEST_FILE // 1024**2} MB")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"can't be read: {error.strerror or error}") from error
    if not content:
        raise BadInput(path, "the file is empty (0 bytes)")
    try:
        done = subprocess.run(  # noqa: S603  this module, in this Python
            [sys.executable, "-P", "-m", __name__, str(_CPU_SECONDS), str(_LARGEST_MEMORY)],
            input=content,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadInput(path, f"reading the PDF took more than {_SECONDS:.0f} seconds") from None
    if done.returncode == _REFUSED:
        raise BadInput(path, done.stdout.decode())
    if done.returncode:
        if done.returncode < 0:  # stopped by a signal of the system
            raise BadInput(
                path, f"reading the PDF took more than {_CPU_SECONDS} s of CPU, or too much memory"
            )
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise BadInput(path, f"the PDF's reader failed: {last}", hint="is the package installed completely?")
    return [Word(*one) for one in json.loads(done.stdout)]


def _words(content: bytes) -> list[Word]:
    from pypdf import PdfReader  # the reading process alone needs it

    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted:
        raise ValueError("the PDF is encrypted")
    if len(reader.pages) > _MOST_PAGES:
        raise ValueError(f"the PDF has {len(reader.pages)} pages, more than {_MOST_PAGES}")
    words: list[Word] = []
    for number, page in enumerate(reader.pages):
        instructions = page.get_contents()
        if instructions is not None and len(instructions.get_data()) > _LONGEST_PAGE:
            raise ValueError(f"page {number + 1} is larger than {_LONGEST_PAGE // 1024**2} MB")

        def take(
            text: str, user: list[float], matrix: list[float], *_: object, page: int = number, turned: bool
        ) -> None:
            if not text.strip():
                return
            x, y = matrix[4], matrix[5]
            left = x * user[0] + y * user[2] + user[4]
            up = x * user[1] + y * user[3] + user[5]
            # A page that is shown turned by 90 degrees is drawn lying on its side.
            words.append(Word(page, *((left, up) if turned else (-up, left)), " ".join(text.split())))

        page.extract_text(visitor_text=lambda *drawn, turned=page.rotation == 90: take(*drawn, turned=turned))
    return words


def main(cpu_seconds: int, memory: int) -> int:
    """Read the document on standard input within the limits and write its words."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        words = _words(sys.stdin.buffer.read())
    except ImportError:
        raise
    except MemoryError:
        sys.stdout.write(f"reading the PDF took more than {memory // 1024**2} MB of memory")
        return _REFUSED
    except Exception as error:  # noqa: BLE001  pypdf raises anything for a damaged document
        sys.stdout.write(f"not a complete PDF: {' '.join(str(error).split())[:200] or type(error).__name__}")
        return _REFUSED
    sys.stdout.write(json.dumps(words))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
