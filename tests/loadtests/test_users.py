"""ChatUser under Locust: what is wrong is said as a sentence and an exit code; what users say comes from the scenario."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.loadtests.locusts import locust, quick_scenario

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "http://127.0.0.1:1"), "is no WebSocket URL"),
        (("--host", "ws://127.0.0.1:1/ws?apikey=hush"), "give secrets by --token-env"),
        (("--host", "ws://127.0.0.1:1", "--contract", "nettra"), "did you mean 'netra'?"),
        (("--host", "ws://127.0.0.1:1", "--scenario", "smok"), "did you mean 'smoke'?"),
        (("--host", "ws://127.0.0.1:1", "--token-env", "NO_SUCH"), "the environment has no NO_SUCH"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = locust(tmp_path, "--headless", "-u", "2", "-t", "20s", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


def test_a_second_message_that_the_contract_promises_nothing_of_is_a_mistake(tmp_path: Path) -> None:
    path = Path(quick_scenario(tmp_path))
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "overlap": {"share": 0.5}}))
    done = locust(tmp_path, "--headless", "-u", "1", "-t", "20s", "--host", "ws://127.0.0.1:1", "--scenario", str(path))
    assert done.returncode == 2, done.stderr
    assert "quick.yaml at overlap: contract netra promises nothing" in done.stderr
    assert not list(tmp_path.rglob("manifest.json"))


SCRIPT = """
import json
from types import SimpleNamespace
from locust.env import Environment
from locust.exception import StopUser
from loadtests.users import ChatUser
from loadtests.prompts import Interference, Prompter

class Mine(ChatUser):
    prompts = ("a", "b", "c")

class Own(ChatUser):
    def content(self):
        return "always this"

class Plain(ChatUser):
    pass

def said(kind):
    user = kind(Environment())
    never = Interference()
    user._prompter = Prompter(kind.prompts or ["x", "y"], 1, 1, never, never)
    return [one if isinstance(one, str) else one.content for one in (user.content() for _ in range(4))]

def lives():
    # How often a user lives until it is over.
    user = Plain(Environment())
    user._talks, lived = True, []
    user.live = lambda: lived.append(1)
    try:
        for _ in range(3):
            user.converse()
    except StopUser:
        pass
    return len(lived)

print(json.dumps([said(Mine), said(Own), said(Plain), lives()]))
"""


def test_users_say_their_own_prompts_or_those_of_the_scenario_and_live_once() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [["c", "a", "b", "c"], ["always this"] * 4, ["x", "y", "x", "y"], 1]
