"""Landing zone: payloads sealed exactly as received, before anything looks at them.

    <root>/tenants/<tenant>/raw/<run or upload>/<n>.seal   the payload
    <root>/tenants/<tenant>/raw/<run or upload>/<n>.meta   its sealed manifest: name, size, SHA-256, media type

A payload is there once its `.seal` is: that rename comes last, after everything was synced. Names given
by people stand only inside sealed manifests and never become paths.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from engine.errors import Bug, Retry, Stop
from engine.ports import Payload, Segment
from storage.disk import DiskFull, private, room, sync_folder
from storage.manifest import read_manifest, write_manifest
from storage.seal import CHUNK, Bytes, Sealer, Tampered, open_sealed

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_LONGEST_NAME = 1024
_OPEN_UPLOADS = 64


class WrongOffset(Stop):
    """This part does not follow what was received so far."""


class OtherBytes(Stop):
    """This part of the upload was received before with other bytes. The first ones were kept."""


class WrongSize(Stop):
    """The upload is not as long as was announced."""


class NoSuchUpload(Stop):
    """There is no upload or payload under this identifier."""


class AlreadySealed(Stop):
    """Another payload is sealed in this place. Sealed payloads are never replaced."""


class Busy(Retry):
    """Another process is receiving this upload."""


class _Upload:
    """An upload being received: its file, locked against other processes, and its sealer."""

    def __init__(self, file: BinaryIO, sealer: Sealer) -> None:
        self.file = file
        self.sealer = sealer


class Landing:
    """The landing zone of one tenant. `root` is the data folder, `key` the tenant's landing key.

    Safe to use from several threads; one process at a time per upload.
    """

    def __init__(self, root: Path, key: bytes, tenant: str) -> None:
        if not _FOLDER.fullmatch(tenant):
            raise Bug("not a tenant's identifier")
        self._raw = root / "tenants" / tenant / "raw"
        self._raw.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = key
        self._tenant = tenant
        self._uploads: dict[str, _Upload] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        self._writing: set[Path] = set()

    def __repr__(self) -> str:
        return f"Landing({self._tenant!r})"

    # Payloads

    def seal(self, payload: Payload, run: str, number: int) -> Segment:
        """Seal a payload as it streams in; on return it is on the disk for good.

        Sealing the same bytes in the same place again gives the segment that is there, so an interrupted
        run can simply repeat itself. Errors: DiskFull, AlreadySealed; after any error nothing is left.
        """
        folder = self._folder(run)
        part = folder / f"{number}.{secrets.token_hex(4)}.part"
        with self._guard:
            self._writing.add(part)
        try:
            with self._lock(run), room(f"Payload {number} of {run}."):
                self._make(folder)
                sink = private(part)
            with sink, room(f"Payload {number} of {run}."):
                with Sealer(sink, self._key, self._tenant, run, number) as sealer:
                    while data := _some(payload.stream):
                        sealer.write(data)
                os.fsync(sink.fileno())
            segment = Segment(run, number, payload.name, sealer.size, sealer.sha256)
            with self._lock(run):
                if self._path(run, number).exists():
                    return self._same(segment)
                self._keep(part, segment, payload.media_type)
            return segment
        finally:
            part.unlink(missing_ok=True)
            with self._guard:
                self._writing.discard(part)

    def open(self, segment: Segment) -> BinaryIO:
        """Read a segment, anywhere in it. Errors: NoSuchUpload, Tampered."""
        try:
            file = self._path(segment.run, segment.number).open("rb", buffering=0)
        except FileNotFoundError:
            raise NoSuchUpload(f"Payload {segment.number} of {segment.run}.") from None
        try:
            reader = open_sealed(file, self._key, self._tenant, segment.run, segment.number)
        except BaseException:
            file.close()
            raise
        size = reader.seek(0, io.SEEK_END)
        reader.seek(0)
        if size != segment.size:
            # A whole, well-sealed file from another time in this very place.
            reader.close()
            raise Tampered(
                f"Tenant {self._tenant}, {segment.run}, segment {segment.number}: it has another length.",
                action="Restore this file from a backup.",
            )
        return reader

    def segments(self, run: str) -> list[Segment]:
        """The segments of a run or upload, in order."""
        numbers = sorted(int(path.stem) for path in self._folder(run).glob("*.seal"))
        return [self.segment(run, number) for number in numbers]

    def segment(self, run: str, number: int = 1) -> Segment:
        """The segment in a place, as its manifest describes it. Errors: NoSuchUpload, Tampered."""
        about = self._manifest(run, number)
        return Segment(run, number, str(about["name"]), int(str(about["size"])), str(about["sha256"]))

    def media_type(self, segment: Segment) -> str:
        """The media type the payload came with, or an empty string."""
        return str(self._manifest(segment.run, segment.number)["media_type"])

    def runs(self) -> list[str]:
        """Every run or upload that holds a whole payload."""
        return sorted({path.parent.name for path in self._raw.glob("*/*.seal")})

    def delete(self, run: str) -> None:
        """Remove every payload of a run or upload, whole or in parts."""
        with self._lock(run):
            self._close(run)
            shutil.rmtree(self._folder(run), ignore_errors=True)

    def discard(self, run: str, number: int) -> None:
        """Remove one payload, if it is there."""
        with self._lock(run):
            # The other way round a crash would leave a payload that nobody can tell the name of.
            for path in (self._path(run, number), self._folder(run) / f"{int(number)}.meta"):
                path.unlink(missing_ok=True)

    # Uploads

    def begin(self, name: str, size: int | None = None, media_type: str = "") -> str:
        """Announce an upload, of a known size or not; the identifier is the run of its segment."""
        if len(name) > _LONGEST_NAME or (size is not None and size < 0):
            raise WrongSize("A name has at most 1024 characters, a size is not negative.")
        upload = "u" + secrets.token_hex(16)
        folder = self._folder(upload)
        self._make(folder)
        about = {"name": name, "size": size, "media_type": media_type}
        try:
            with room(f"Upload {upload}."):
                write_manifest(folder / "upload", about, self._key, self._tenant, upload, 0, "upload")
        except DiskFull:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return upload

    def offset(self, upload: str) -> int:
        """How many bytes are received. After a crash it is less than before: the last chunk is gone."""
        with self._lock(upload):
            if (done := self._finished(upload)) is not None:
                return done.size
            return self._receiving(upload).sealer.size

    def append(self, upload: str, offset: int, data: Bytes | Iterable[Bytes]) -> int:
        """Receive bytes from `offset` on; gives the offset after these bytes.

        What was received before may come again and is compared, so a request without an answer can be
        repeated; `offset` may then still be ahead. A slow sender holds up nobody else.
        Errors: WrongOffset (its action names where to go on), OtherBytes, WrongSize, DiskFull.
        """
        if isinstance(data, bytes | bytearray | memoryview):
            return self._receive(upload, offset, data)
        offset = self._receive(upload, offset, b"")
        for piece in data:
            offset = self._receive(upload, offset, piece)
        return offset

    def _receive(self, upload: str, offset: int, data: Bytes) -> int:
        with self._lock(upload):
            if (done := self._finished(upload)) is not None:
                raise WrongOffset(f"Upload {upload} is finished.", action=f"It has {done.size} bytes.")
            sealer = self._receiving(upload).sealer
            if not 0 <= offset <= sealer.size:
                raise WrongOffset(f"Upload {upload}, at {offset}.", action=f"Go on at offset {sealer.size}.")
            view, most = memoryview(data).cast("B"), self._announced(upload)["size"]
            if most is not None and offset + len(view) > int(str(most)):
                raise WrongSize(f"Upload {upload} was announced with {most} bytes.")
            try:
                with room(f"Upload {upload}."):
                    fresh = sealer.fresh(view, offset)
                    if fresh is None:
                        raise OtherBytes(f"Upload {upload}, from {offset} on.", action="Begin a new upload.")
                    sealer.write(fresh)
                    return offset + len(view)
            except OSError:
                self._close(upload)
                raise
            except DiskFull:
                # What is torn at the end is cut off now; the next part goes on from the last chunk.
                self._close(upload)
                self._receiving(upload)
                raise

    def finish(self, upload: str) -> Segment:
        """Make the upload a segment, on the disk for good. Finishing again gives the same segment."""
        with self._lock(upload):
            if (done := self._finished(upload)) is not None:
                return done
            receiving = self._receiving(upload)
            about = self._announced(upload)
            sealer = receiving.sealer
            if about["size"] is not None and sealer.size != int(str(about["size"])):
                raise WrongSize(
                    f"Upload {upload} has {sealer.size} bytes of {about['size']}.",
                    action=f"Go on at offset {sealer.size}.",
                )
            try:
                with room(f"Upload {upload}."):
                    sealer.close()
                    os.fsync(receiving.file.fileno())
                    segment = Segment(upload, 1, str(about["name"]), sealer.size, sealer.sha256)
                    self._keep(self._folder(upload) / "1.part", segment, str(about["media_type"]))
            finally:
                self._close(upload)
            return segment

    def sweep(self, idle: float = 86_400, now: float | None = None) -> int:
        """Remove what crashes left: parts nobody writes, and uploads idle for `idle` seconds. How many."""
        now = time.time() if now is None else now
        removed = 0
        for folder in [path for path in self._raw.iterdir() if path.is_dir()]:
            with self._lock(folder.name):
                removed += self._sweep(folder, now - idle)
        return removed

    def _sweep(self, folder: Path, before: float) -> int:
        whole = {path.stem for path in folder.glob("*.seal")}
        receiving = (folder / "upload").exists() and not whole
        if receiving:
            last = max(path.stat().st_mtime for path in folder.iterdir())
            if last > before:
                return 0
            self.delete(folder.name)
            return 1
        with self._guard:
            writing = set(self._writing)
        left = [
            path
            for path in folder.iterdir()
            if (path.suffix == ".part" and path not in writing)
            or (path.suffix == ".meta" and path.stem not in whole)
            or path.suffix == ".new"
        ]
        for path in left:
            path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        return len(left)

    # Below

    def _folder(self, run: str) -> Path:
        if not _FOLDER.fullmatch(run):
            raise NoSuchUpload("Identifiers have letters, digits, - and _ only.")
        return self._raw / run

    def _path(self, run: str, number: int) -> Path:
        return self._folder(run) / f"{int(number)}.seal"

    def _make(self, folder: Path) -> None:
        with room("Making a folder for a payload."):
            folder.mkdir(exist_ok=True, mode=0o700)
            sync_folder(self._raw)

    def _lock(self, run: str) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(run, threading.RLock())

    def _keep(self, part: Path, segment: Segment, media_type: str) -> None:
        """Manifest first, payload last: a payload that is there is whole and described."""
        folder = part.parent
        about = {
            "name": segment.name, "size": segment.size, "sha256": segment.sha256, "media_type": media_type
        }  # fmt: skip
        with room(f"Payload {segment.number} of {segment.run}."):
            meta = folder / f"{segment.number}.meta"
            write_manifest(meta, about, self._key, self._tenant, segment.run, segment.number, "manifest")
            os.rename(part, folder / f"{segment.number}.seal")
            sync_folder(folder)

    def _manifest(self, run: str, number: int) -> dict[str, object]:
        if not self._path(run, number).exists():
            raise NoSuchUpload(f"Payload {number} of {run}.")
        try:
            path = self._folder(run) / f"{int(number)}.meta"
            return read_manifest(path, self._key, self._tenant, run, number, "manifest")
        except FileNotFoundError:
            raise Tampered(
                f"Tenant {self._tenant}, {run}, segment {number}: its manifest is missing.",
                action="Restore this file from a backup.",
            ) from None

    def _announced(self, upload: str) -> dict[str, object]:
        try:
            path = self._folder(upload) / "upload"
            return read_manifest(path, self._key, self._tenant, upload, 0, "upload")
        except FileNotFoundError:
            raise NoSuchUpload(f"Upload {upload}.") from None

    def _same(self, segment: Segment) -> Segment:
        there = self.segment(segment.run, segment.number)
        if (there.size, there.sha256) != (segment.size, segment.sha256):
            raise AlreadySealed(f"Payload {segment.number} of {segment.run}.")
        return there

    def _finished(self, upload: str) -> Segment | None:
        return self.segment(upload, 1) if self._path(upload, 1).exists() else None

    def _receiving(self, upload: str) -> _Upload:
        if upload not in self._uploads:
            self._announced(upload)
            self._close_idle()
            file = self._claim(self._folder(upload) / "1.part", upload)
            try:
                with room(f"Upload {upload}."):
                    sealer = Sealer.resume(file, self._key, self._tenant, upload, 1)
            except BaseException:
                file.close()
                raise
            self._uploads[upload] = _Upload(file, sealer)
        return self._uploads[upload]

    def _claim(self, part: Path, upload: str) -> BinaryIO:
        file = private(part, empty=False)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Busy(f"Upload {upload}.") from None
        return file

    def _close(self, upload: str) -> None:
        if (receiving := self._uploads.pop(upload, None)) is not None:
            receiving.file.close()

    def _close_idle(self) -> None:
        # Open files are few. An upload closed here goes on later from its last chunk.
        for upload in list(self._uploads)[: max(0, len(self._uploads) - _OPEN_UPLOADS + 1)]:
            lock = self._lock(upload)
            if lock.acquire(blocking=False):
                try:
                    self._close(upload)
                finally:
                    lock.release()


def _some(stream: BinaryIO) -> bytes:
    data: bytes | None = stream.read(CHUNK)
    if data is None:
        raise Bug("a payload's stream must wait for its bytes")
    return data
