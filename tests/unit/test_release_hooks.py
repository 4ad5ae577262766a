"""User hooks: when they are asked, what their answers mean, and that none can end a release."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.release_manifest import HookGate
from infra.state_machine import FUNCTION_TIMEOUT_SECONDS
from release.driver.lock import process_is_alive
from release.handler import RESERVE_SECONDS, SLICE_SECONDS
from release.hooks.command import PASSED_ON, environment, run_command
from release.hooks.function import FunctionRunner
from release.hooks.questions import (
    GRACE_SECONDS,
    LAMBDA_SECONDS,
    HookAnswer,
    HookQuestion,
    Hooks,
    due,
    of_document,
    of_exit,
    runs_in,
)

QUESTION = HookQuestion(
    release_id="wine-1",
    model="wine",
    endpoint="wine-prod",
    region="eu-west-1",
    from_version="1",
    to_version="2",
    stage="bake",
    step=1,
    weight=5.0,
    live_variant="live",
    candidate_variant="candidate",
    minutes=2.5,
)
FUNCTION = HookGate("business", function_arn="arn:aws:lambda:eu-west-1:1:function:check")


def python(code: str, timeout: float = 20.0) -> HookGate:
    return HookGate("smoke", command=(sys.executable, "-c", code), timeout_seconds=timeout)


def ask(code: str, timeout: float = 20.0) -> HookAnswer:
    return run_command(python(code, timeout), QUESTION, 100.0)


# --- a command's answer


@pytest.mark.parametrize(("code", "answer"), [(0, "pass"), (2, "fail"), (3, "not_enough_data")])
def test_a_command_answers_by_its_exit_code(code: int, answer: str) -> None:
    assert ask(f"print('one'); print('two'); raise SystemExit({code})") == HookAnswer(
        answer, "two", 100.0
    )


def test_a_json_line_says_more_than_the_exit_code() -> None:
    told = ask('print(\'{"answer": "fail", "text": "orders fell"}\'); print(\'bye\')')

    assert told == HookAnswer("fail", "orders fell", 100.0)


def test_a_command_gets_the_question_on_stdin_and_in_its_variables() -> None:
    told = ask(
        "import json, os, sys; q = json.load(sys.stdin);"
        "print(json.dumps({'answer': 'pass', 'text': ' '.join([q['hook'], q['model'],"
        "str(q['weight']), os.environ['SLIPWAY_WEIGHT'], os.environ['SLIPWAY_MINUTES'],"
        "os.environ['SLIPWAY_CANDIDATE_VARIANT'], os.environ['SLIPWAY_TO_VERSION']])}))"
    )

    assert told == HookAnswer("pass", "smoke wine 5.0 5 2.5 candidate 2", 100.0)


def test_no_shell_looks_at_the_words() -> None:
    gate = HookGate("smoke", command=("printf", "%s", "$HOME; exit 2"))

    assert run_command(gate, QUESTION, 1.0) == HookAnswer("pass", "$HOME; exit 2", 1.0)


def test_a_command_that_does_not_read_its_question_may_answer() -> None:
    question = replace(QUESTION, from_version="x" * 100_000)

    assert run_command(python("print('fine')"), question, 1.0).answer == "pass"


# --- a command that misbehaves


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("raise SystemExit(1)", "hook smoke ended with exit code 1"),
        ("print('no such table'); raise SystemExit(7)",
         "hook smoke ended with exit code 7: no such table"),
        ("import os; os.kill(os.getpid(), 9)", "hook smoke was ended by signal 9"),
        ("print('{\"answer\": \"pass\"}'); raise SystemExit(1)",
         'hook smoke ended with exit code 1: {"answer": "pass"}'),
        ("print('{\"answer\": \"maybe\"}')",
         "hook smoke answered 'maybe'; pass, fail, not_enough_data are understood"),
        ("print('{\"answer\": [1]}')",
         "hook smoke answered [1]; pass, fail, not_enough_data are understood"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_not_enough_data_and_names_the_hook(code: str, text: str) -> None:
    assert ask(code) == HookAnswer("not_enough_data", text, 100.0)


def test_garbage_with_a_good_exit_code_is_shown_as_one_clean_line() -> None:
    told = ask("import sys; sys.stdout.buffer.write(b'\\xff\\x1b[31m<b>{broken\\x00')")

    assert told == HookAnswer("pass", "�  [31m<b>{broken".replace("  ", " "), 100.0)


def test_a_command_that_is_not_there_is_not_enough_data() -> None:
    gate = HookGate("smoke", command=("/no/such/command",))

    assert run_command(gate, QUESTION, 1.0) == HookAnswer(
        "not_enough_data",
        "hook smoke cannot be started: /no/such/command: No such file or directory",
        1.0,
    )


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Also where it ignores being asked to end, and what it started holds its output open."""
    told_pid = tmp_path / "pid"
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
    code = (
        "import pathlib, subprocess, signal, sys, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        f"pathlib.Path({str(told_pid)!r}).write_text(str(child.pid)); time.sleep(100)"
    )
    began = time.monotonic()

    told = ask(code, timeout=2.0)

    assert told == HookAnswer("not_enough_data", "hook smoke did not answer within 2 s", 100.0)
    assert time.monotonic() - began < 20
    until_ended(int(told_pid.read_text()))


def until_ended(pid: int) -> None:
    """Until the process is gone, or only waits to be collected."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid):
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        assert time.monotonic() < deadline, "the child still runs"
        time.sleep(0.02)


def test_a_command_that_leaves_something_behind_answers_at_once() -> None:
    code = (
        "import subprocess, sys;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('done')"
    )
    began = time.monotonic()

    assert ask(code) == HookAnswer("pass", "done", 100.0)
    assert time.monotonic() - began < 15


def test_a_flood_of_output_is_cut_and_does_not_stop_the_command() -> None:
    told = ask(
        "import sys\nfor _ in range(50): sys.stdout.write('x' * 100_000)\nraise SystemExit(2)"
    )

    assert told.answer == "fail"
    assert told.text == "x" * 499 + "…"


# --- what a command gets to know


def test_only_named_variables_are_passed_on() -> None:
    around = dict.fromkeys(PASSED_ON, "set") | {
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ACCESS_KEY_ID": "secret",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_PROFILE": "secret",
        "PULUMI_CONFIG_PASSPHRASE": "secret",
        "SLIPWAY_ANYTHING": "secret",
    }

    told = environment(around, QUESTION, "smoke")

    ours = {name for name in told if not name.startswith("SLIPWAY_")}
    assert ours == set(PASSED_ON)
    assert "secret" not in told.values()
    assert told["AWS_REGION"] == told["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert {name for name in told if name.startswith("SLIPWAY_")} == {
        f"SLIPWAY_{name}"
        for name in (
            "SCHEMA_VERSION", "HOOK", "RELEASE_ID", "MODEL", "ENDPOINT", "REGION", "FROM_VERSION",
            "TO_VERSION", "STAGE", "STEP", "WEIGHT", "LIVE_VARIANT", "CANDIDATE_VARIANT", "MINUTES",
        )
    }  # fmt: skip


def test_a_command_does_not_see_our_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")

    told = ask("import os; print(os.environ.get('AWS_SECRET_ACCESS_KEY', 'nothing'))")

    assert told.text == "nothing"


# --- a function's answer


class LambdaStub:
    def __init__(self, payload: bytes, error: str | None = None) -> None:
        self.answer = {"Payload": io.BytesIO(payload)} | ({"FunctionError": error} if error else {})
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return self.answer


def ask_function(payload: bytes, error: str | None = None) -> HookAnswer:
    return FunctionRunner(lambda _: LambdaStub(payload, error))(FUNCTION, QUESTION, 7.0)


def test_a_function_gets_the_question_and_answers_with_a_document() -> None:
    stub = LambdaStub(b'{"answer": "pass", "text": "42 orders"}')

    told = FunctionRunner(lambda _: stub)(FUNCTION, QUESTION, 7.0)

    assert told == HookAnswer("pass", "42 orders", 7.0)
    (request,) = stub.asked
    assert request["FunctionName"] == FUNCTION.function_arn
    assert json.loads(request["Payload"]) == QUESTION.to_dict("business")


@pytest.mark.parametrize(
    ("payload", "error", "text"),
    [
        (b'{"errorType": "KeyError", "errorMessage": "x"}', "Unhandled",
         "hook business failed: KeyError: x"),
        (b"gone", "Unhandled", "hook business failed: gone"),
        (b"<html>", None, "hook business failed: its answer is not JSON: '<html>'"),
        (b"null", None, "hook business answered null, which has no key answer"),
        (b'["pass"]', None, 'hook business answered ["pass"], which has no key answer'),
        (b'{"answer": "ok"}', None,
         "hook business answered 'ok'; pass, fail, not_enough_data are understood"),
    ],
)  # fmt: skip
def test_a_function_that_misbehaves_is_not_enough_data(
    payload: bytes, error: str | None, text: str
) -> None:
    assert ask_function(payload, error) == HookAnswer("not_enough_data", text, 7.0)


def test_a_function_that_cannot_be_asked_is_not_enough_data() -> None:
    class Broken:
        def invoke(self, **_: Any) -> Any:
            raise RuntimeError("AccessDeniedException: not allowed")

    runner = FunctionRunner(lambda _: Broken())
    told = Hooks("lambda", runner, runner)([FUNCTION], QUESTION, 7.0)

    text = "hook business could not be asked: AccessDeniedException: not allowed"
    assert told == {"business": HookAnswer("not_enough_data", text, 7.0)}


def test_a_function_that_hangs_is_not_enough_data() -> None:
    from botocore.exceptions import ReadTimeoutError

    class Slow:
        def invoke(self, **_: Any) -> Any:
            raise ReadTimeoutError(endpoint_url="https://lambda")

    told = FunctionRunner(lambda _: Slow())(FUNCTION, QUESTION, 7.0)

    assert told == HookAnswer("not_enough_data", "hook business did not answer within 30 s", 7.0)


def test_a_function_gets_as_long_as_the_gate_says() -> None:
    waited: list[float] = []

    def make(timeout: float) -> Any:
        waited.append(timeout)
        return LambdaStub(b'{"answer": "pass"}')

    runner = FunctionRunner(make)
    runner(replace(FUNCTION, timeout_seconds=12.0), QUESTION, 7.0)
    runner(replace(FUNCTION, timeout_seconds=12.0), QUESTION, 8.0)

    assert waited == [12.0]


# --- when they are asked, and where


def test_a_hook_is_asked_at_most_as_often_as_it_says() -> None:
    hook = HookGate("smoke", command=("true",), every_seconds=60.0)
    asked = {"smoke": HookAnswer("pass", "", 100.0)}

    assert due([hook], {}, 100.0) == (hook,)
    assert due([hook], asked, 159.9) == ()
    assert due([hook], asked, 160.0) == (hook,)
    assert due([hook], asked, 50.0) == (hook,), "the clock went backwards"


@pytest.mark.parametrize(
    ("hook", "driver", "can"),
    [
        (HookGate("a", command=("true",)), "terminal", True),
        (HookGate("a", command=("true",)), "lambda", False),
        (FUNCTION, "terminal", True),
        (FUNCTION, "lambda", True),
    ],
)
def test_a_command_needs_the_machine_that_it_is_on(hook: HookGate, driver: str, can: bool) -> None:
    assert runs_in(hook, driver) is can


def test_a_lambda_says_that_it_cannot_run_a_command() -> None:
    def never(gate: HookGate, question: HookQuestion, at: float) -> HookAnswer:
        raise AssertionError("asked")

    told = Hooks("lambda", never, never)([python("pass")], QUESTION, 5.0)

    assert told == {
        "smoke": HookAnswer(
            "not_enough_data",
            "hook smoke is a command, which a Lambda cannot run; make it a function",
            5.0,
        )
    }


def test_a_text_is_one_line_of_bounded_length() -> None:
    told = of_document(FUNCTION, {"answer": "pass", "text": "a\nb\x07" + "c" * 600}, 1.0)

    assert told.text.startswith("a b c")
    assert len(told.text) == 500
    assert of_exit(FUNCTION, 0, "", 1.0) == HookAnswer("pass", "", 1.0)


# --- several at once


def test_hooks_are_asked_at_the_same_time_and_answer_in_their_order() -> None:
    """Each waits until all were asked: one after another they would never answer."""
    together = threading.Barrier(3)

    def run(gate: HookGate, _question: HookQuestion, at: float) -> HookAnswer:
        together.wait(30)
        return HookAnswer("pass", gate.name, at)

    gates = [HookGate(name, command=("x",)) for name in ("c", "a", "b")]
    answers = Hooks("terminal", run, run)(gates, QUESTION, 5.0)
    assert list(answers) == ["c", "a", "b"]
    assert {a.text for a in answers.values()} == {"a", "b", "c"}


def test_a_hook_that_hangs_beyond_its_time_is_left_behind() -> None:
    is_over = threading.Event()

    def run(gate: HookGate, _question: HookQuestion, at: float) -> HookAnswer:
        if gate.name == "deaf":
            is_over.wait(60)
        return HookAnswer("pass", "", at)

    gates = [HookGate(n, function_arn="arn", timeout_seconds=0.1) for n in ("deaf", "well")]
    told = Hooks("terminal", run, run, grace=0.1)(gates, QUESTION, 5.0)
    is_over.set()

    assert told == {
        "deaf": HookAnswer("not_enough_data", "hook deaf did not answer within 0.1 s", 5.0),
        "well": HookAnswer("pass", "", 5.0),
    }


@pytest.mark.parametrize(("driver", "seconds"), [("lambda", LAMBDA_SECONDS), ("terminal", 300.0)])
def test_a_lambda_gives_no_hook_more_than_a_slice_can(driver: str, seconds: float) -> None:
    given: list[float] = []

    def run(gate: HookGate, _question: HookQuestion, at: float) -> HookAnswer:
        given.append(gate.timeout_seconds)
        return HookAnswer("pass", "", at)

    Hooks(driver, run, run)([replace(FUNCTION, timeout_seconds=300.0)], QUESTION, 5.0)
    assert given == [seconds]


def test_a_slice_that_asks_hooks_at_its_end_still_ends_before_the_function() -> None:
    longest = SLICE_SECONDS + LAMBDA_SECONDS + GRACE_SECONDS + RESERVE_SECONDS
    assert longest <= FUNCTION_TIMEOUT_SECONDS / 2, "the other half is for AWS's slow answers"


LEAVING = """
import pathlib, sys, threading
from dataclasses import replace
from contracts.release_manifest import HookGate
from release.hooks.command import run_command
from release.hooks.questions import HookQuestion, Hooks

told = pathlib.Path(sys.argv[1])
code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))"
command = (sys.executable, "-c", code + "; time.sleep(60)", str(told))
question = HookQuestion("r", "m", "e", "eu-west-1", "1", "2", "bake", 0, 5.0, "live", "new", 1.0)

def hang(gate, question, at):
    threading.Event().wait()

def run(gate, question, at):
    return run_command(replace(gate, timeout_seconds=60.0), question, at)

deaf = HookGate("deaf", function_arn="arn", timeout_seconds=0.1)
smoke = HookGate("smoke", command=command, timeout_seconds=0.1)
answers = Hooks("terminal", run, hang, grace=0.1)([deaf, smoke], question, 5.0)
assert {a.answer for a in answers.values()} == {"not_enough_data"}
while not told.exists() or not told.read_text():
    threading.Event().wait(0.02)
"""


def test_a_process_ends_though_hooks_hang_and_leaves_no_command_behind(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", LEAVING, str(told)]
    subprocess.run(words, check=True, timeout=50, cwd=root)
    assert not process_is_alive(int(told.read_text()))
