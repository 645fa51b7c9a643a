"""Judgement in, files out: the only place of reports that writes into a run directory."""

from __future__ import annotations

import os
from pathlib import Path

from reports.judgement import Judgement
from reports.render.html import render_html
from reports.render.json import render_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown

__all__ = ["FILES", "write_reports"]

#: file -> who makes its text
FILES = {
    "verdict.json": render_json,
    "junit.xml": render_junit,
    "summary.md": render_markdown,
    "report.html": render_html,
}


def write_reports(judgement: Judgement, run_dir: Path) -> dict[str, Path]:
    """Write all of FILES, each whole or not at all; returns where they stand."""
    written = {}
    for name, render in FILES.items():
        path = run_dir / name
        partial = path.with_name(f"{name}.{os.getpid()}.partial")
        try:
            partial.write_text(render(judgement), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        written[name] = path
    return written
