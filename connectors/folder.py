"""A watched folder: files that are new or changed since the last run, oldest first.

A file counts as unchanged while name, size, time and, where only the time moved, content are the same.
Nothing outside the folders the administrator opened is read, whatever a link points to.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import BaseModel, ConfigDict, Field

from connectors.registry import Reach, connector
from engine.errors import Retry, Stop
from engine.ports import Cursor, Payload, Stage

MOST_FILES = 100_000


class FolderClosed(Stop):
    """This folder is not among those the administrator opened to connectors."""


class FolderMissing(Retry):
    """The folder is not there or can't be read. We will try again at the next run."""


class TooManyFiles(Stop):
    """The folder holds more files than can be watched."""


@connector("folder", title="Watched folder", summary="Files that arrive in a folder of this server")
class Config(BaseModel):
    """Where to look and which files to take."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The folder, as a whole path.", pattern=r"^/")
    pattern: str = Field(
        default="*", description="File names to take, such as *.csv or *.json.gz.", max_length=200
    )
    subfolders: bool = Field(default=False, description="Look into folders below as well.")
    settle_seconds: float = Field(default=2.0, ge=0, description="How long a file must have been left alone.")


@dataclass(frozen=True)
class _Seen:
    path: str
    size: int
    changed: int
    inode: int


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """May we, can we, and is there anything."""
    try:
        root = _opened(config, reach)
    except FolderClosed as error:
        yield Stage("permission", False, error.where, error.action)
        return
    yield Stage("permission", True, "the folder is open to connectors")
    try:
        files = _files(root, config)
    except (OSError, FolderMissing) as error:
        yield Stage("folder", False, str(error), "Create the folder, or let this server's user read it.")
        return
    yield Stage("folder", True, str(root))
    action = "" if files else "Put a file there, or widen the pattern."
    yield Stage("files", bool(files), f"{len(files):,} files match {config.pattern}", action)


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """Each new or changed file with the cursor after it."""
    root = _opened(config, reach)
    known = dict(cast(dict[str, list[object]], (since or {}).get("files", {})))
    files = _files(root, config)
    present = {seen.path for seen in files}
    known = {path: entry for path, entry in known.items() if path in present}
    before = time.time() - config.settle_seconds
    for seen in sorted(files, key=lambda each: (each.changed, each.path)):
        entry = known.get(seen.path)
        if seen.changed / 1e9 > before or (entry and entry[:2] == [seen.size, seen.changed]):
            continue
        try:
            stream = _open(root, seen)
        except OSError:
            continue  # it left between looking and reading; the next run sees what is there then
        with stream:
            digest = _digest(stream)
            known[seen.path] = [seen.size, seen.changed, digest]
            if entry and entry[2] == digest:
                continue
            yield Payload(seen.path, stream, {"files": {**known}})


def _opened(config: Config, reach: Reach) -> Path:
    """The real folder, if it lies in one that was opened."""
    real = Path(os.path.realpath(config.path))
    for folder in reach.folders:
        allowed = Path(os.path.realpath(folder))
        if real == allowed or allowed in real.parents:
            return real
    raise FolderClosed(
        config.path, action="Ask the administrator to open it, or move the files to one that is open."
    )


def _files(root: Path, config: Config) -> list[_Seen]:
    """Regular files below the folder that match; links are not followed."""
    found: list[_Seen] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                for entry in entries:
                    path = os.path.join(below, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if config.subfolders and not entry.name.startswith("."):
                            waiting.append(path)
                        continue
                    if not entry.is_file(follow_symlinks=False) or entry.name.startswith("."):
                        continue
                    if fnmatch.fnmatch(entry.name, config.pattern):
                        stats = entry.stat(follow_symlinks=False)
                        found.append(_Seen(path, stats.st_size, stats.st_mtime_ns, stats.st_ino))
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            if not below:
                raise FolderMissing(str(root)) from error
        if len(found) > MOST_FILES:
            raise TooManyFiles(
                f"{root}: more than {MOST_FILES:,}.", action="Move files that were read elsewhere."
            )
    return found


def _open(root: Path, seen: _Seen) -> BinaryIO:
    """The very file that was seen, opened step by step so that no link put there since can lead away."""
    parent = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *folders, name = seen.path.split(os.sep)
        for folder in folders:
            inner = os.open(
                folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
            )
            os.close(parent)
            parent = inner
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    stats = os.fstat(handle)
    if not stat.S_ISREG(stats.st_mode) or stats.st_ino != seen.inode:
        os.close(handle)
        raise FileNotFoundError(seen.path)
    return cast(BinaryIO, os.fdopen(handle, "rb"))


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := stream.read(1 << 20):
        digest.update(data)
    stream.seek(0)
    return digest.hexdigest()
