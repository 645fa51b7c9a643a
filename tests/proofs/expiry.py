"""A product whose tokens expire, for the experiment ``token-expiry``: the embedded backend with eras, and the programs that the
experiment asks for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.gauntlet import backend

__all__ = ["product"]

#: clients fetch a new token once most of this is over, and an era ends when all have done so
LIFE_S, NOTICE_S = 2.0, 2.4
TOKEN = """#!/bin/sh
printf '{{"token": "%s.%s", "expires_in_s": {life_s}}}' "$1" "$(cat {issued})"
"""
EXPIRE = """#!/bin/sh
set -e
era=$(($(cat {issued}) + 1))
echo $era > {issued}.new && mv {issued}.new {issued}
sleep {notice_s}
echo $era > {oldest}.new && mv {oldest}.new {oldest}
"""
#: whoever comes with a token of the last era is let go with a policy violation
VERIFY = """#!{python}
import sys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
era = int(open({oldest!r}).read()) - 1
try:
    with connect({url!r}, subprotocols=[f"jwt.verifier.{{era}}"], open_timeout=5) as one:
        while True:
            one.recv(timeout=5)
except ConnectionClosed as error:
    sys.exit(error.rcvd is None or error.rcvd.code != 1008)
"""
RENEW = """#!/bin/sh
"""  # whoever was let go has a new token already


@contextmanager
def product(folder: Path) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Options of ``gauntlet run`` and its environment, while the product runs."""
    issued, oldest = folder / "issued", folder / "oldest"
    issued.write_text("1\n")
    oldest.write_text("1\n")
    programs = folder / "bin"
    programs.mkdir()
    with backend("--era-file", str(oldest)) as url:
        facts = {
            "issued": issued, "oldest": str(oldest), "life_s": json.dumps(LIFE_S), "notice_s": NOTICE_S, "python": sys.executable,
            "url": url,
        }  # fmt: skip
        texts = {
            "token": TOKEN, "expire-tokens": EXPIRE, "tokens-expired": VERIFY, "renew-tokens": RENEW,
        }  # fmt: skip
        for name, text in texts.items():
            (programs / name).write_text(text.format(**facts))
            (programs / name).chmod(0o755)
        options = ("--target", url, "--contract", "reference", "--token-program", str(programs / "token"))
        yield options, {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
