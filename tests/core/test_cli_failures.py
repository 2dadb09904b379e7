"""Mistakes of users and failures of ours: one line on standard error, the right status, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netspec.errors import NetspecError

LENET = str(Path(__file__).parents[2] / "specs" / "lenet.yaml")

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "missing.yaml"), "missing.yaml:1:1: cannot be opened: No such file or directory"),
        (("show", "."), ".:1:1: a file is expected, this is a folder"),
        (("show",), "netspec show: Missing argument 'SPEC' (see netspec show --help)"),
        (("shoow", LENET), "netspec: No such command 'shoow'. Did you mean 'show'? (see netspec --help)"),
        (("export",), "netspec export: Missing command (see netspec export --help)"),
        (("show", LENET, "--bogus"), "netspec show: No such option: --bogus (see netspec show --help)"),
        (("show", LENET, LENET), f"netspec show: Got unexpected extra argument(s) ({LENET}) (see netspec show --help)"),
        (
            ("count-params", LENET, "--by", "x"),
            (
                "netspec count-params: Invalid value for '--by': 'x' is not one of 'layer', 'parameter' "
                "(see netspec count-params --help)"
            ),
        ),
        (("show", LENET, "--set", "classes"), "--set: expected NAME=VALUE, got 'classes'"),
        (("show", LENET, "--set", "=3"), "--set: expected NAME=VALUE, got '=3'"),
        (("show", LENET, "--set", "classes="), "--set classes: a value is expected"),
        (
            ("show", LENET, "--set", "classes_=3"),
            "--set classes_: there is no param classes_; did you mean classes?",
        ),
        (("show", LENET, "--set", "classes=3", "--set", "classes=4"), "--set classes is given twice"),
        (("validate", LENET, LENET, "--set", "classes"), "--set: expected NAME=VALUE, got 'classes'"),
        (("summary", LENET, "--dim", "batch=0"), "--dim batch: expected a positive integer, got '0'"),
        (("summary", LENET, "--dim", "batch=1e3"), "--dim batch: expected a positive integer, got '1e3'"),
        (("summary", LENET, "--dim", "batch=-1"), "--dim batch: expected a positive integer, got '-1'"),
        (("summary", LENET, "--dim", "bath=2"), "there is no symbolic dimension bath; did you mean batch?"),
        (
            ("verify", LENET, "--backends", "torch,"),
            "--backends: expected different names with commas between them, got 'torch,'",
        ),
        (
            ("verify", LENET, "--dim", "batch=3", "--data", "x.npz"),
            "--dim and --data: the sizes are those of the arrays; give one of the two",
        ),
        (("verify", LENET, "--data", "x.npz"), "x.npz: an .npz file is expected, there is no such file"),
    ],
)
def test_mistakes_of_the_user_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert run(*arguments) == (2, "", f"{message}\n")


def test_a_value_of_another_kind_is_refused(run: Run) -> None:
    status, out, err = run("count-params", LENET, "--set", "classes=ten")
    assert (status, out) == (2, "")
    first = "--set classes: param classes: expected an integer like its default 10, got text 'ten'"
    assert err.splitlines()[0] == first


def test_no_command_shows_the_help_as_a_mistake(run: Run) -> None:
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "count-params" in err


def test_escape_codes_of_the_command_line_are_shown_escaped(run: Run) -> None:
    for arguments in (("\x1b[2J",), ("show", "\x1b[2J"), ("show", LENET, "--set", "\x1b[2J"), ("show", "--\x1b[2J")):
        status, _, err = run(*arguments)
        assert status == 2
        assert "\x1b" not in err
        assert "[2J" in err
        assert err.count("\n") == 1


def test_a_failure_of_netspec_is_one_line_and_status_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise AssertionError("two\nlines \x1b[2J")

    monkeypatch.setattr("netspec.spec.load", fail)
    hint = "(NETSPEC_TRACEBACK=1 shows the traceback)"
    assert run("show", LENET) == (3, "", f"netspec: internal error: AssertionError: two\\nlines \\x1b[2J {hint}\n")
    monkeypatch.setenv("NETSPEC_TRACEBACK", "1")
    status, out, err = run("show", LENET)
    assert (status, out) == (3, "")
    assert err.startswith("Traceback")


def test_an_interrupt_is_quiet_and_status_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.spec.load", interrupt)
    assert run("show", LENET) == (130, "", "")
    monkeypatch.setattr("netspec.cli.application.run", interrupt)
    assert run("show", LENET) == (130, "", "")


def test_mistakes_without_a_place_are_told_as_they_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise NetspecError("there is no such thing")

    monkeypatch.setattr("netspec.spec.load", refuse)
    assert run("show", LENET) == (2, "", "there is no such thing\n")
    status, out, _ = run("validate", LENET, "--format", "json")
    (found,) = json.loads(out)
    assert (status, found["file"], found["line"], found["column"]) == (2, LENET, None, None)
