"""The command as a process: its streams, where it is not alone on the machine, and what it loads to start."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.core.test_import_rule import FRAMEWORKS, loaded_after

ROOT = Path(__file__).parents[2]
LENET = str(ROOT / "specs" / "lenet.yaml")
RESIDUAL = str(ROOT / "specs" / "residual.yaml")
PERCEPTRON = str(ROOT / "specs" / "perceptron.yaml")
NETSPEC = Path(sys.executable).with_name("netspec")


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the installed command in a process of its own."""
    return subprocess.run([NETSPEC, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.mark.parametrize(
    ("arguments", "status"), [(("show", RESIDUAL), 0), (("--help",), 0), (("validate", LENET, "missing.yaml"), 2)]
)
def test_a_reader_that_leaves_early_changes_nothing(arguments: tuple[str, ...], status: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        finished = subprocess.run([NETSPEC, *arguments], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writer)
    assert finished.returncode == status
    assert b"Traceback" not in finished.stderr and b"Broken" not in finished.stderr


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    limited = ["/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh", str(NETSPEC), "show", RESIDUAL]
    with (tmp_path / "graph.txt").open("w") as output:
        finished = subprocess.run(limited, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (2, "standard output cannot be written: File too large\n")


def test_names_outside_ascii_do_no_harm_in_an_ascii_locale(tmp_path: Path) -> None:
    path = tmp_path / "réseau.yaml"
    path.write_text(
        "{netspec: 1, inputs: {x: {shape: [batch, 6]}}, layers: [{name: spare, type: relu}, {type: relu, from: x}]}"
    )
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    finished = command("validate", str(path), env=environment)
    assert (finished.returncode, finished.stderr.count("\n")) == (0, 1)
    assert ": ok, " in finished.stdout
    finished = command("validate", str(path), env={**environment, "PYTHONIOENCODING": "ascii"})
    assert finished.returncode == 0


def test_a_wide_table_is_whole_where_nobody_reads_it_on_a_terminal() -> None:
    narrow = command("summary", RESIDUAL, env={**os.environ, "COLUMNS": "20"})
    assert "global_avg_pool  [1, 32]" in narrow.stdout
    assert max(map(len, narrow.stdout.splitlines())) > 90


def test_a_table_on_a_terminal_fits_and_honours_no_color() -> None:
    terminal, end = pty.openpty()
    environment = {**os.environ, "COLUMNS": "50", "TERM": "xterm-256color", "NO_COLOR": "1"}
    try:
        finished = subprocess.run(
            [NETSPEC, "count-params", PERCEPTRON, "--by", "layer"], stdout=end, timeout=60, check=False, env=environment
        )
        shown = os.read(terminal, 65_536).decode()
    finally:
        os.close(end)
        os.close(terminal)
    assert finished.returncode == 0
    assert set(re.findall(r"\x1b\[([0-9;]*)m", shown)) == {"1", "0"}  # bold titles, no colours
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= 50
    assert "211" in lines[-1] and "…" not in shown


def test_python_m_netspec_is_the_command() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "netspec", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (finished.returncode, finished.stdout) == (0, f"netspec {netspec.__version__}\n")


FRAMEWORK_FREE = [
    ["validate", LENET],
    ["show", RESIDUAL],
    ["count-params", LENET, "--by", "layer"],
    ["count-params", LENET, "--by", "parameter", "--format", "json"],
    ["summary", LENET],
    ["summary", LENET, "--memory", "--fit", "1GiB"],
    ["plot", LENET],
    ["diff", LENET, LENET],
]


@pytest.mark.parametrize("arguments", FRAMEWORK_FREE, ids=" ".join)
def test_commands_that_need_no_framework_load_none(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = loaded_after(f"from netspec.cli import main; assert main({arguments}) == 0")
    assert loaded & (FRAMEWORKS | {"numpy", "rich", "safetensors"}) == set()


def test_the_list_of_backends_loads_no_framework() -> None:
    assert loaded_after("from netspec.cli import main; assert main(['backends']) == 0") & FRAMEWORKS == set()


def test_a_count_loads_nothing_that_it_does_not_need() -> None:
    others = "('netspec.draw', 'netspec.analysis.memory', 'netspec.analysis.difference')"
    code = f"import sys; from netspec.cli import main; assert main(['count-params', {LENET!r}]) == 0"
    loaded_after(f"{code}; assert not [name for name in sys.modules if name.startswith({others})]")


def test_the_package_of_the_command_line_is_light() -> None:
    assert loaded_after("import netspec.cli") & {"typer", "rich", "yaml", "pydantic", "numpy"} == set()


def test_a_count_takes_less_than_400_milliseconds() -> None:
    # Of the processor, and the best of five: other programs run beside the tests.
    seconds = []
    for _ in range(5):
        process = subprocess.Popen([NETSPEC, "count-params", LENET], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(used.ru_utime + used.ru_stime)
    assert min(seconds) < 0.4
