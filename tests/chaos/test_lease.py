"""One run a target: held while its process lives, taken over when it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chaos.lease import Lease, lease_dir
from loadtests.errors import RigError

HOLD = (
    "import sys\nfrom chaos.lease import Lease\n"
    "lease = Lease.take(sys.argv[1], 80, 'theirs', print)\nprint('up', flush=True)\nsys.stdin.read()"
)


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def holder():
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, "chat.test"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_living_run_keeps_its_target(holder):
    with pytest.raises(RigError, match=rf"run theirs \(process {holder.pid}\)"):
        Lease.take("CHAT.test.", 80, "ours", print)
    Lease.take("chat.test", 81, "ours", print).close()


def test_a_dead_runs_lease_is_taken_over_and_that_is_said(holder):
    holder.kill()
    holder.wait()
    said = []
    Lease.take("chat.test", 80, "ours", said.append).close()
    assert len(said) == 1
    assert f"run theirs, whose process {holder.pid} is gone" in said[0]


def test_after_an_orderly_end_nothing_is_said():
    said = []
    for name in ("one", "two"):
        with Lease.take("chat.test", 80, name, said.append), pytest.raises(RigError, match=f"run {name}"):
            Lease.take("chat.test", 80, "other", said.append)
    assert said == []


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1", "localhost"])
def test_all_names_of_loopback_are_one_target(name):
    with Lease.take("localhost", 8000, "one", print), pytest.raises(RigError):
        Lease.take(name, 8000, "two", print)


def test_one_machine_under_two_names_is_one_target(monkeypatch):
    known = {"a.test": ["192.0.2.7"], "b.test": ["192.0.2.7", "192.0.2.8"], "c.test": ["192.0.2.8"]}
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *_, **__: [(0, 0, 0, "", (one, 0)) for one in known[host]])
    with Lease.take("a.test", 80, "one", print):
        with pytest.raises(RigError, match="run one"):
            Lease.take("b.test", 80, "two", print)
        Lease.take("c.test", 80, "three", print).close()  # what was refused holds nothing


def test_nonsense_in_the_file_is_no_crash():
    Lease.take("chat.test", 80, "one", print).close()
    (path,) = lease_dir().glob("*.lease")
    path.write_bytes(b"\xff[")
    Lease.take("chat.test", 80, "two", print).close()


def test_without_a_runtime_folder_it_is_one_of_our_own_among_the_temporary(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lease_dir().parent == tmp_path
    assert lease_dir().stat().st_mode & 0o077 == 0


def test_a_folder_that_is_no_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "gauntlet").write_text("")
    with pytest.raises(RigError, match="XDG_RUNTIME_DIR"):
        lease_dir()
