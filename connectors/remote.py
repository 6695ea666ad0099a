"""Remote files: of those a place lists, the new and changed ones, each read whole or not at all.

The cursor is what was read: a mark for each file as the place described it, its name, size and time or ETag.
Files come in the order of their time, then of their name, and a file that changes while it is read ends the run
before anything of it is taken.
"""

from __future__ import annotations

import fnmatch
import io
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from pydantic import Field

from connectors.marks import mark, packed, unpacked
from engine.errors import Retry, Stop
from engine.ports import Cursor, Payload, Stage

MOST_FILES = 50_000
_WILD = frozenset("*?[")


class Changed(Retry):
    """A file changed while it was read, so nothing of it was taken. We will try again at the next run."""


class Gone(Retry):
    """A file that was listed is not there any more. We will try again at the next run."""


class TooManyFiles(Stop):
    """The place holds more files than can be watched."""


@dataclass(frozen=True)
class File:
    """A file as a place describes it. `mark` changes when the file does; none where the place says nothing of it.

    `size` is in bytes, -1 where it is not told; `changed` in seconds since 1970, 0 where it is not told.
    """

    path: str
    size: int
    mark: str
    changed: float = 0.0


class Place(Protocol):
    """Where files lie: a folder of a server, a bucket."""

    def files(self, pattern: Pattern) -> Iterable[File]:
        """What is there; more than the pattern wants does no harm."""

    def now(self, file: File) -> File:
        """The file as it is at this moment. Raises Gone."""

    def open(self, file: File) -> BinaryIO:
        """Its bytes. Raises Gone."""


def pattern_field() -> str:
    """The setting that says which files to take, the same at every place."""
    found: str = Field(
        default="*",
        description="Files to take, such as *.csv, 2026-*/*.json.gz, or **/*.xml for all folders below.",
        max_length=500,
        min_length=1,
    )
    return found


class Pattern:
    """Which paths are wanted. `*` stays within one name, `**` is any folders; hidden files are never taken."""

    def __init__(self, text: str) -> None:
        self.parts = text.strip("/").split("/")

    def wants(self, path: str) -> bool:
        """Whether the file at this path is to be taken."""
        return not path.rpartition("/")[2].startswith(".") and len(self.parts) in self._after(path)

    def enters(self, folder: str) -> bool:
        """Whether a wanted file may lie in this folder or below it."""
        return any(place < len(self.parts) for place in self._after(folder))

    @property
    def begin(self) -> str:
        """The folder that all wanted files lie below, as far as the pattern names it."""
        named = itertools.takewhile(lambda part: not _WILD & set(part), self.parts[:-1])
        return "/".join(named)

    def _after(self, path: str) -> set[int]:
        """How many parts of the pattern may be used up by the names of a path."""
        places = self._over({0})
        for name in path.split("/") if path else ():
            places = self._over(
                {
                    place + (self.parts[place] != "**")
                    for place in places
                    if place < len(self.parts) and fnmatch.fnmatchcase(name, self.parts[place])
                }
            )
        return places

    def _over(self, places: set[int]) -> set[int]:
        """With the places reached by letting `**` stand for no folder."""
        found = set(places)
        for place in sorted(places):
            while place < len(self.parts) and self.parts[place] == "**":
                place += 1
                found.add(place)
        return found


def read_new(place: Place, pattern: Pattern, since: Cursor | None, settle: float = 0.0) -> Iterator[Payload]:
    """Each new or changed file with the cursor after it; one touched within `settle` seconds waits."""
    found = wanted(place, pattern)
    # What the place no longer lists need not be remembered.
    known = unpacked((since or {}).get("known")) & {_mark(file) for file in found}
    before = time.time() - settle
    for file in found:
        seen = _mark(file)
        if (file.mark and seen in known) or (settle and file.changed > before):
            continue
        known.add(seen)
        stream = cast(BinaryIO, io.BufferedReader(_Whole(place, file), 1 << 20))
        yield Payload(file.path, stream, {"known": packed(known), "files": len(known), "last": file.path})


def wanted(place: Place, pattern: Pattern) -> list[File]:
    """The files to take, in an order that is the same every time. Raises TooManyFiles."""
    found = []
    for file in place.files(pattern):
        if pattern.wants(file.path):
            found.append(file)
        if len(found) > MOST_FILES:
            raise TooManyFiles(
                f"More than {MOST_FILES:,}.", action="Narrow the pattern, or make a source of each folder."
            )
    return sorted(found, key=lambda file: (file.changed, file.path))


def first_file(place: Place, found: list[File], pattern: str) -> Iterator[Stage]:
    """The last two stages of a check: what is there, and that it can be read."""
    action = "" if found else "Put a file there, or widen the pattern."
    yield Stage("files", bool(found), f"{len(found):,} files match {pattern}", action)
    for file in found[:1]:
        with place.open(file) as stream:
            stream.read(1)
        yield Stage("first file", True, f"{file.path}, {file.size:,} bytes" if file.size >= 0 else file.path)


class _Whole(io.RawIOBase):
    """A file's bytes; where it ends too early or is another one by then, Changed stands for its end."""

    def __init__(self, place: Place, file: File) -> None:
        self.place, self.file, self.inner, self.count = place, file, place.open(file), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if not data and len(buffer):
            whole = self.file.size in (-1, self.count)
            if not whole or self.place.now(self.file) != self.file:
                raise Changed(self.file.path)
        return len(data)

    def close(self) -> None:
        self.inner.close()
        super().close()


def _mark(file: File) -> int:
    return mark("\0".join((file.path, str(file.size), file.mark)).encode("utf-8", "surrogatepass"))
