"""The `slipway` command as a person or a pipeline meets it: exit codes, help, piped output."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

SLIPWAY = str(Path(sys.executable).parent / "slipway")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    return tmp_path


def run(folder: Path, *words: str, columns: int | None = None) -> subprocess.CompletedProcess[str]:
    left_out = ("COLUMNS", "PULUMI_STACK", "MLFLOW_TRACKING_URI")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    if columns is not None:
        environment["COLUMNS"] = str(columns)
    return subprocess.run(
        [SLIPWAY, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus"], "error: no such command 'bogus'\n  see `slipway --help`\n"),
        (["release", "--bogus"], "error: no such option: --bogus\n  see `slipway release --help`"),
        (["package"], "error: missing argument 'MODEL/VERSION|MODEL@ALIAS'\n"),
        (["serve", "m/1", "--port", "x"], "error: invalid value for '--port': "),
        (["serve", "m/1", "--port", "99999"], "should be less than or equal to 65535"),
        (["cloud"], "Usage: slipway cloud [OPTIONS] COMMAND [ARGS]..."),
        (["train", "--train-months", "1-14"], "--train-months is '1-14'; months from 1 to 12"),
        (["train", "--train-months", "4-1"], "--train-months is '4-1'; months from 1 to 12"),
        (["train", "--estimator", "x"], "estimator is 'x'; one of logreg, hgb, forest"),
    ],
)
def test_what_cannot_be_understood_ends_with_64_and_says_why(
    project: Path, words: list[str], told: str
) -> None:
    done = run(project, *words)

    assert done.returncode == 64, done.stderr
    assert told in done.stderr
    assert done.stdout == ""


def test_help_shows_every_command_in_whole_sentences(project: Path) -> None:
    done = run(project, "--help", columns=80)

    assert done.returncode == 0
    assert "  slipway release                 move traffic, or go back\n" in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


def test_a_stack_file_that_is_no_yaml_is_named_with_its_line(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text("config:\n  slipway:models: [\n")

    plan, doctor = run(project, "plan", "--stack", "dev"), run(project, "doctor", "--stack", "dev")

    assert (plan.returncode, doctor.returncode) == (1, 1)
    assert plan.stderr.startswith("error: Pulumi.dev.yaml, line 3: this is not YAML (")
    assert "Pulumi.dev.yaml, line 3: this is not YAML (" in doctor.stdout


@pytest.mark.parametrize("text", ["hello", "config: hello", "- 1"])
def test_a_stack_file_that_is_no_map_is_refused(project: Path, text: str) -> None:
    (project / "Pulumi.dev.yaml").write_text(text)

    done = run(project, "plan", "--stack", "dev")

    assert done.returncode == 1
    assert "a map `config:` of keys like `aws:region:` is needed" in done.stderr


def test_results_in_a_pipe_are_not_broken_into_lines(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text("config: {aws:region: eu-west-1, slipway:models: {}}")

    done = run(project, "doctor", "--stack", "dev")

    assert "a map with at least one model is needed; write `slipway:models: {NAME: " in done.stdout


def test_packages_are_looked_for_in_the_project_from_any_folder_of_it(project: Path) -> None:
    below = project / "notebooks"
    below.mkdir()

    done = run(below, "serve", "wine/1")

    assert done.returncode == 1
    assert f"no package at {project}/dist/wine/1: manifest.json is missing" in done.stderr


def test_the_version_is_told(project: Path) -> None:
    done = run(project, "--version")

    assert (done.returncode, done.stdout) == (0, f"slipway {version('slipway')}\n")


def test_no_log_is_told_and_no_line_of_it(project: Path) -> None:
    done = run(project, "cloud", "logs")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "there is no log yet: the local cloud was never started here\n"
