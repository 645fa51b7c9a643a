"""``gauntlet locustfile``: a path that Locust can be given."""

from __future__ import annotations

from pathlib import Path

import loadtests
from tests.loadtests.cli.commands import called


def test_it_prints_the_path_of_the_locustfile_and_nothing_else() -> None:
    code, said = called("locustfile")
    assert code == 0
    assert Path(said.strip()) == Path(str(loadtests.__file__)).parent / "locustfile.py"
    assert Path(said.strip()).is_file()
