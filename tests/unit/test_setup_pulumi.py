"""Finding or building the Pulumi CLI, with stand-ins for both tools on a PATH of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from scripts import setup_pulumi
from scripts.infrastructure import pulumi_cli
from scripts.setup_pulumi import PulumiSetupError

NEW_ENOUGH = setup_pulumi.VERSION
NEW_GO = "go version go1.26.0 linux/amd64"


class Machine:
    """A PATH with only what a test puts there, and a cache of its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "bin"
        self.folder.mkdir()
        self.calls = root / "calls"
        monkeypatch.setenv("PATH", str(self.folder))
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        self.cache = root / "cache" / "slipway" / f"pulumi-v{NEW_ENOUGH}" / "bin"
        self.said: list[str] = []

    def command(self, name: str, body: str, folder: Path | None = None) -> Path:
        """A shell script; the shell's own words are all it may use."""
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{os.path.realpath('/bin/sh')}\n{body}\n")
        path.chmod(0o755)
        return path

    def pulumi(self, version: str, folder: Path | None = None) -> Path:
        return self.command("pulumi", f"echo {version}", folder)

    def go(self, version: str = NEW_GO, build: str = "exit 1") -> Path:
        """``build`` runs for every call but ``go version``."""
        note = f'echo "$1" >> {self.calls}'
        return self.command("go", f'[ "$1" = version ] && echo {version} && exit\n{note}\n{build}')

    def ensure(self) -> Path:
        return setup_pulumi.ensure(self.said.append)

    def refusal(self) -> str:
        with pytest.raises(PulumiSetupError) as refused:
            self.ensure()
        return str(refused.value)

    def ways(self) -> str:
        return (
            "install Pulumi 3.259.0 or newer (https://www.pulumi.com/docs/install), or Go 1.25.11 "
            "or newer to build it, or copy a pulumi binary of version 3.259.0 to "
            f"{self.cache}"
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


# --- what is found


@pytest.mark.parametrize("version", ["v3.259.0", "v3.300.1", "v4.0.0", "3.260.0"])
def test_a_pulumi_on_path_that_is_new_enough_is_used_as_it_is(
    machine: Machine, version: str
) -> None:
    found = machine.pulumi(version)

    assert machine.ensure() == found
    assert machine.said == [f"pulumi: {found}"]


def test_the_users_own_build_is_used_where_path_has_none(machine: Machine) -> None:
    own = machine.pulumi("v3.259.0", machine.cache)

    assert machine.ensure() == own


def test_the_users_own_build_is_used_where_the_one_on_path_is_too_old(machine: Machine) -> None:
    machine.pulumi("v3.100.0")
    own = machine.pulumi("v3.259.0", machine.cache)

    assert machine.ensure() == own


# --- what is too old or missing


@pytest.mark.parametrize(
    ("reported", "shown"),
    [("v3.258.9", "v3.258.9"), ("v3.99.0", "v3.99.0"), ("", "no version")],
)
def test_a_pulumi_that_is_too_old_is_named_and_our_own_is_built(
    machine: Machine, reported: str, shown: str
) -> None:
    old = machine.pulumi(reported)
    machine.go()

    machine.refusal()

    assert machine.said[0] == (
        f"pulumi: {old} is {shown}; v3.259.0 or newer is needed; building our own"
    )
    assert machine.said[1].startswith("building pulumi-language-python from pinned Go modules")


def test_a_command_names_the_pulumi_that_is_too_old(machine: Machine) -> None:
    old = machine.pulumi("v3.100.0")

    with pytest.raises(pulumi_cli.PulumiNotFoundError) as refused:
        pulumi_cli.find_pulumi()

    assert str(refused.value) == (
        f"{old} is v3.100.0; v3.259.0 or newer is needed, and none was built in {machine.cache}; "
        "run `make setup`, or install Pulumi 3.259.0 or newer "
        "(https://www.pulumi.com/docs/install)"
    )


def test_a_command_without_any_pulumi_says_so(machine: Machine) -> None:
    with pytest.raises(pulumi_cli.PulumiNotFoundError) as refused:
        pulumi_cli.find_pulumi()

    assert str(refused.value) == (
        f"there is no pulumi on PATH, and none was built in {machine.cache}; run `make setup`, or "
        "install Pulumi 3.259.0 or newer (https://www.pulumi.com/docs/install)"
    )


def test_without_pulumi_and_go_the_three_ways_are_named(machine: Machine) -> None:
    assert machine.refusal() == f"neither pulumi nor Go is on PATH; {machine.ways()}"


def test_an_old_pulumi_without_go_names_the_old_one_and_the_three_ways(machine: Machine) -> None:
    old = machine.pulumi("v3.100.0")

    assert machine.refusal().endswith(machine.ways())
    assert machine.said == [
        f"pulumi: {old} is v3.100.0; v3.259.0 or newer is needed; building our own"
    ]


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        ("go version go1.25.10 linux/amd64", "1.25.10"),
        ("go version go1.19 linux/amd64", "1.19.0"),
        ("nonsense", "0.0.0"),
    ],
)
def test_a_go_that_is_too_old_is_named_with_the_three_ways(
    machine: Machine, reported: str, shown: str
) -> None:
    go = machine.go(reported)

    assert machine.refusal() == (f"{go} is Go {shown}, and no pulumi is on PATH; {machine.ways()}")
    assert not machine.calls.exists(), "nothing may be built with it"


# --- building


@pytest.mark.parametrize(
    "sign",
    [
        "dial tcp: lookup proxy.golang.org: no such host",
        "dial tcp 127.0.0.1:9: connect: connection refused",
        "read tcp 10.0.0.2: i/o timeout",
        "module lookup disabled by GOPROXY=off",
        "proxyconnect tcp: EOF",
    ],
)
def test_a_build_that_cannot_reach_its_registry_says_what_to_check(
    machine: Machine, sign: str
) -> None:
    machine.go(build=f"echo 'go: downloading' >&2; echo 'Get module: {sign}' >&2; exit 1")

    assert machine.refusal() == (
        "pulumi-language-python could not be built: Go cannot reach its module proxy "
        f"(Get module: {sign}); check the network and GOPROXY, then run `make setup` again: it "
        "goes on where it stopped"
    )


@pytest.mark.parametrize(
    ("errors", "shown"), [("echo 'disk is full' >&2;", "disk is full"), ("", "no output")]
)
def test_a_build_that_fails_for_another_reason_says_which_and_the_three_ways(
    machine: Machine, errors: str, shown: str
) -> None:
    machine.go(build=f"{errors} exit 1")

    assert machine.refusal() == (
        f"pulumi-language-python could not be built: {shown}; {machine.ways()}"
    )


def test_a_build_that_failed_leaves_nothing_that_looks_built(machine: Machine) -> None:
    machine.go()

    machine.refusal()

    assert [path.name for path in machine.cache.iterdir()] == [".lock"]


def test_sources_that_cannot_be_downloaded_say_what_to_check(machine: Machine) -> None:
    answer = '{"Error": "dial tcp: no such host"}'
    machine.go(build=f"[ \"$1\" = mod ] && echo '{answer}' && exit 1\n{builds('v3.259.0')}")

    assert machine.refusal() == (
        "pulumi-language-python could not be built: Go cannot reach its module proxy "
        "(dial tcp: no such host); check the network and GOPROXY, then run `make setup` again: it "
        "goes on where it stopped"
    )
    assert not (machine.cache / "pulumi").exists()


def builds(version: str) -> str:
    """``go build … -o TARGET PACKAGE`` that writes a script which reports this version."""
    shell = os.path.realpath("/bin/sh")
    return (
        'while [ "$1" != -o ]; do shift; done\n'
        f"echo '#!{shell}' > \"$2\"; echo 'echo {version}' >> \"$2\""
    )


def test_a_build_makes_the_language_host_its_script_and_the_cli_once(
    machine: Machine, tmp_path: Path
) -> None:
    sources = tmp_path / "sources"
    script = sources / setup_pulumi.HOST_SCRIPT
    script.parent.mkdir(parents=True)
    script.write_text("run the program")
    answer = f'{{"Dir": "{sources}"}}'
    machine.go(build=f"[ \"$1\" = mod ] && echo '{answer}' && exit\n{builds('v3.259.0')}")

    built = machine.ensure()
    again = machine.ensure()

    assert built == again == machine.cache / "pulumi"
    assert setup_pulumi.version_of(built) == (3, 259, 0)
    assert (machine.cache / "pulumi-language-python").is_file()
    copied = machine.cache / "pulumi-language-python-exec"
    assert copied.read_text() == "run the program"
    assert shutil.which(str(copied)) is not None, "it must be executable"
    assert machine.calls.read_text().split() == ["build", "mod", "build"]


def test_set_up_prints_the_error_and_exits_with_1(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        setup_pulumi.main()

    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.err == f"error: neither pulumi nor Go is on PATH; {machine.ways()}\n"
