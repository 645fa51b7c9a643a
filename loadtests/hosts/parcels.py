"""A host's files on their way to the master: offered with size and digest, sent in chunks with a digest each, whole or not at all.

The receiving side keeps what has come beside the place where it will stand, so a link may break anywhere and the rest follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loadtests.hosts.messages import Parcel

__all__ = ["CHUNK_BYTES", "Inbox", "chunks", "parcels_of"]

CHUNK_BYTES = 1 << 20
PART = ".part"


def parcels_of(run_dir: Path, own: Iterable[str]) -> list[tuple[Parcel, Path]]:
    """All of ``rows/``, and of the folder itself what is named and there."""
    files = [("rows", file) for file in sorted((run_dir / "rows").iterdir()) if file.is_file()]
    files += [("own", run_dir / name) for name in own if (run_dir / name).is_file()]
    return [(Parcel(folder, file.name, file.stat().st_size, _digest(file)), file) for folder, file in files]


def chunks(file: Path, have_bytes: int) -> Iterator[tuple[int, bytes, str]]:
    """What is still to be sent: where it stands, the bytes, their SHA-256."""
    with file.open("rb") as stream:
        stream.seek(have_bytes)
        at = have_bytes
        while piece := stream.read(CHUNK_BYTES):
            yield at, piece, hashlib.sha256(piece).hexdigest()
            at += len(piece)


class Inbox:
    """The master's side, of one host. ``places``: the folder for each kind of file; never a file that another host has sent."""

    def __init__(self, places: dict[str, Path]) -> None:
        self._places = places
        self._expected: dict[str, Parcel] = {}
        self._have: dict[str, int] = {}
        #: of what has come, kept while it comes: a long file is not read again while other hosts wait for an answer
        self._digests: dict[str, Any] = {}
        self._whole: set[str] = set()

    def expect(self, parcels: Iterable[Parcel]) -> None:
        """What will come; asked again it is the same, and what has come stays.

        Raises:
            ValueError: one of them is another's, or was offered otherwise before.
        """
        for parcel in parcels:
            key = _key(parcel.folder, parcel.name)
            if self._expected.get(key, parcel) != parcel:
                raise ValueError(f"{key} was offered with another size or digest before")
            if key not in self._expected:
                place = self._place(parcel)
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.exists():
                    raise ValueError(f"{key} is there already, of another host")
                self._expected[key] = parcel
                self._begin(key)
                self._settle(key)

    def take(self, folder: str, name: str, offset: int, piece: bytes, sha256: str) -> None:
        """One chunk; what was there is written once, what does not fit or is damaged is not written at all."""
        key = _key(folder, name)
        parcel = self._expected.get(key)
        if parcel is None or offset != self._have[key] or offset + len(piece) > parcel.size_bytes:
            return
        if hashlib.sha256(piece).hexdigest() != sha256:
            return
        with _part(self._place(parcel)).open("ab") as file:
            file.write(piece)
        self._have[key] += len(piece)
        self._digests[key].update(piece)
        self._settle(key)

    def _begin(self, key: str) -> None:
        _part(self._place(self._expected[key])).write_bytes(b"")
        self._have[key], self._digests[key] = 0, hashlib.sha256()

    def _settle(self, key: str) -> None:
        """A file that is whole goes to its place; one that is long enough and not the same begins again."""
        parcel = self._expected[key]
        if self._have[key] < parcel.size_bytes:
            return
        place = self._place(parcel)
        if self._digests[key].hexdigest() == parcel.sha256:
            _part(place).rename(place)
            self._whole.add(key)
        else:
            self._begin(key)

    @property
    def have(self) -> dict[str, int]:
        """Bytes of each file."""
        return dict(self._have)

    @property
    def whole(self) -> bool:
        """Something was offered, and all of it is here."""
        return bool(self._expected) and self._whole == self._expected.keys()

    def _place(self, parcel: Parcel) -> Path:
        return self._places[parcel.folder] / parcel.name


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}"


def _part(place: Path) -> Path:
    return place.with_name(place.name + PART)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
