"""A file arrives whole or not at all, however often the way breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.hosts import parcels
from loadtests.hosts.messages import Parcel
from loadtests.hosts.parcels import Inbox, chunks, parcels_of


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parcels, "CHUNK_BYTES", 10)
    there = tmp_path / "there"
    (there / "rows").mkdir(parents=True)
    (there / "rows" / "worker-1.bin").write_bytes(bytes(range(35)))
    (there / "rows" / "worker-1.frames").write_bytes(b"")
    (there / "health.jsonl").write_text("{}\n")
    return there


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox({"rows": tmp_path / "rows", "own": tmp_path / "hosts" / "host-1"})


def send(inbox: Inbox, offered: list[tuple[Parcel, Path]], *, most: int = 99) -> None:
    """What is still wanted, until the way breaks after so many chunks."""
    left = most
    for parcel, file in offered:
        for offset, piece, sha256 in chunks(file, inbox.have[f"{parcel.folder}/{parcel.name}"]):
            if not left:
                return
            left -= 1
            inbox.take(parcel.folder, parcel.name, offset, piece, sha256)


def test_what_was_offered_arrives(host: Path, inbox: Inbox, tmp_path: Path) -> None:
    offered = parcels_of(host, ["health.jsonl", "never-written.json"])
    assert not inbox.whole  # nothing was offered yet
    inbox.expect(parcel for parcel, _ in offered)
    assert not inbox.whole
    send(inbox, offered)
    assert inbox.whole
    assert (tmp_path / "rows" / "worker-1.bin").read_bytes() == bytes(range(35))
    assert (tmp_path / "rows" / "worker-1.frames").read_bytes() == b""
    assert (tmp_path / "hosts" / "host-1" / "health.jsonl").read_text() == "{}\n"
    assert not list(tmp_path.rglob("rows/*.part"))


def test_after_a_break_only_the_rest_is_sent(host: Path, inbox: Inbox, tmp_path: Path) -> None:
    offered = parcels_of(host, [])
    inbox.expect(parcel for parcel, _ in offered)
    send(inbox, offered, most=2)
    assert (inbox.have["rows/worker-1.bin"], inbox.whole) == (20, False)
    assert not (tmp_path / "rows" / "worker-1.bin").exists()  # nobody may take a part for the whole
    inbox.expect(parcel for parcel, _ in offered)
    assert inbox.have["rows/worker-1.bin"] == 20
    send(inbox, offered)
    assert inbox.whole


def test_a_chunk_that_comes_again_or_damaged_or_from_elsewhere_changes_nothing(host: Path, inbox: Inbox) -> None:
    offered = parcels_of(host, [])
    inbox.expect(parcel for parcel, _ in offered)
    (at, piece, sha256), (then, second, digest), *_ = chunks(host / "rows" / "worker-1.bin", 0)
    inbox.take("rows", "worker-1.bin", at, b"?" + piece[1:], sha256)
    inbox.take("rows", "worker-1.bin", then, second, digest)
    inbox.take("rows", "worker-7.bin", at, piece, sha256)
    assert inbox.have["rows/worker-1.bin"] == 0
    inbox.take("rows", "worker-1.bin", at, piece, sha256)
    inbox.take("rows", "worker-1.bin", at, piece, sha256)
    assert inbox.have["rows/worker-1.bin"] == 10


def test_a_file_that_is_not_what_was_offered_begins_again(host: Path, inbox: Inbox) -> None:
    offered = parcels_of(host, [])
    inbox.expect(parcel for parcel, _ in offered)
    (host / "rows" / "worker-1.bin").write_bytes(bytes(35))
    send(inbox, offered)
    assert (inbox.have["rows/worker-1.bin"], inbox.whole) == (0, False)


def test_another_offer_of_the_same_file_and_anothers_file_are_refused(host: Path, inbox: Inbox, tmp_path: Path) -> None:
    inbox.expect(parcel for parcel, _ in parcels_of(host, []))
    with pytest.raises(ValueError, match="another size"):
        inbox.expect([Parcel("rows", "worker-1.bin", 36, "f" * 64)])
    (tmp_path / "rows" / "worker-0.bin").write_bytes(b"of host-2")
    with pytest.raises(ValueError, match="of another host"):
        inbox.expect([Parcel("rows", "worker-0.bin", 0, "f" * 64)])
    assert (tmp_path / "rows" / "worker-0.bin").read_bytes() == b"of host-2"
