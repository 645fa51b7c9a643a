"""All files of a judgement are written, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import render
from tests.reports.judgements import EXAMPLES, go


@pytest.mark.parametrize("name", EXAMPLES)
def test_all_files_are_written_and_nothing_else(name: str, tmp_path: Path) -> None:
    written = render.write_reports(EXAMPLES[name](), tmp_path)
    assert (
        set(written)
        == {"verdict.json", "junit.xml", "summary.md", "report.html"}
        == {path.name for path in tmp_path.iterdir()}
    )
    assert all(path == tmp_path / file and path.stat().st_size for file, path in written.items())


def test_a_renderer_that_breaks_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render.write_reports(go(), tmp_path)
    before = (tmp_path / "summary.md").read_bytes()

    def broken(_: object) -> str:
        raise RuntimeError("no")

    monkeypatch.setitem(render.FILES, "summary.md", broken)
    with pytest.raises(RuntimeError):
        render.write_reports(go(), tmp_path)
    assert (tmp_path / "summary.md").read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))
