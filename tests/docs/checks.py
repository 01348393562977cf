"""How a block of each language is run or judged. What is wrong becomes an AssertionError.

CHECKS is the table: a language that is not in it may not be used. Knows blocks and a bench to run them on.
test_examples.py calls it.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from .blocks import BLOCKS, Block
from .running import PATIENCE, SERVER, Bench, is_listening, known_flags, matches, mentions, wait_for

URL = re.compile(r"https?://[^\s/)]+/")


# -- Servers -----------------------------------------------------------------------------------


def check_server(bench: Bench, block: Block, line: str, wanted: str = "") -> None:
    """Start what the line says, ask it, end it as Ctrl-C does, and compare what it has said meanwhile."""
    command = bench.server_command(line)
    with bench.running(command) as (process, lines):
        assert wait_for(lambda: lines.lines, process), f"{command}: {bench.errors}"
        if "--unix" not in command:
            check_answer(bench, block, address_of(lines.lines), 401 if "--auth" in command else 200)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, f"{command}: {bench.errors}"
        said = lines.ended() + bench.errors
    assert not wanted or mentions(bench.ported(wanted), said), f"{command} said:\n{said}"
    assert "Traceback" not in bench.errors


def address_of(lines: list[str]) -> str:
    """Where the first line says that it listens, by loopback."""
    found = URL.search("".join(lines))
    assert found, lines
    parts = urlsplit(found[0])
    return f"{parts.scheme}://127.0.0.1:{parts.port}"


def check_answer(bench: Bench, block: Block, address: str, usual: int = 200) -> None:
    """Ask without a password, and see that the status is the one that the page tells, or the usual one."""
    about = block.directives
    status, body = bench.ask(address + about.get("get", "/"))
    assert status == int(about.get("status", usual)), f"{status} {body}"
    assert about.get("says", "") in body


# -- Sessions ----------------------------------------------------------------------------------


def session(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a block with ``$ `` lines, and what each is shown to write."""
    command, output = "", ""
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        elif command.endswith("\\"):
            command += "\n" + line.removeprefix("> ")
        else:
            output += line + "\n"
    if command:
        yield command, output


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a block without them, where nothing is shown."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line, ""


def check_shell(bench: Bench, block: Block) -> None:
    pairs = list(session(block.text) if block.text.startswith("$ ") else commands(block.text))
    assert pairs, "there is no command"
    for at, (command, wanted) in enumerate(pairs):
        if SERVER.match(command) and not command.rstrip().endswith("&"):
            fails = "exit" in block.directives and at == len(pairs) - 1
            (check_refusal if fails else check_server)(bench, block, command, wanted)
            continue
        done = bench.run(bench.ported(command))
        expected = int(block.directives.get("exit", 0)) if at == len(pairs) - 1 else 0
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"
        said = (done.stdout + done.stderr).replace("\r", "")
        assert not wanted or matches(bench.ported(wanted), said), f"{command} said:\n{said}"


def check_refusal(bench: Bench, block: Block, command: str, wanted: str) -> None:
    """One line on stderr, and the status."""
    done = bench.run(bench.server_command(command))
    assert done.returncode == int(block.directives["exit"])
    assert matches(bench.ported(wanted), done.stderr), done.stderr


# -- Programs ----------------------------------------------------------------------------------


def check_python(bench: Bench, block: Block) -> None:
    """It is run to its end, or asked as a server, or is a file of tests, or is another block's module."""
    name = block.title or "example.py"
    bench.write(name, block.text)
    if "pytest" in block.directives:
        done = bench.run(["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", name])
        assert done.returncode == 0, done.stdout + done.stderr
    elif "get" in block.directives:
        check_program(bench, block, f"python {shlex.quote(name)}")
    else:
        done = bench.run(["python", "-W", "error", name])
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert block.directives.get("says", "") in done.stdout


def check_program(bench: Bench, block: Block, command: str) -> None:
    """A program of one server, which is asked and ended."""
    secure = "8443" in block.text
    port = bench.port("8443" if secure else "8000")
    with bench.running(command) as (process, lines):
        assert wait_for(lambda: is_listening(int(port)), process), bench.errors
        check_answer(bench, block, f"http{'s' if secure else ''}://127.0.0.1:{port}")
        process.terminate()
        process.wait(PATIENCE)
    assert "Traceback" not in bench.errors, bench.errors + lines.ended()


# -- Files -------------------------------------------------------------------------------------


def check_toml(bench: Bench, block: Block) -> None:
    """fastserve.toml is served with; of another only the form is looked at."""
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 has no tomllib")
    import tomllib

    values = tomllib.loads(block.text)
    if block.title != "fastserve.toml":
        return
    flags = {"--" + key.replace("_", "-") for key in values} - {"--port"}
    assert flags <= known_flags()
    bench.write(block.title, block.text)
    check_server(bench, block, "fastserve --config fastserve.toml")


def check_units(bench: Bench, block: Block) -> None:
    """All units of the page together: a service may name its socket."""
    program = needed("systemd-analyze")
    units = [other for other in BLOCKS if other.page == block.page and other.language == "ini"]
    for unit in units:
        bench.write(unit.title, re.sub(r"(?m)^(ExecStart=)\S+", rf"\1{sys.executable}", unit.text))
    done = bench.run([program, "verify", *(f"./{unit.title}" for unit in units)])
    told = [line for line in done.stderr.splitlines() if "fastserve" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def check_nginx(bench: Bench, block: Block) -> None:
    """A part of a configuration is put where it belongs."""
    program = needed("nginx")
    text = block.text if re.search(r"(?m)^\s*server \{", block.text) else f"server {{ {block.text} }}"
    folder = bench.folder
    bench.write("nginx.conf", (
        f"pid {folder}/nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n"
        + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        + f"{text}\n}}\n"))
    done = bench.run([program, "-t", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    assert done.returncode == 0, done.stderr


def check_caddy(bench: Bench, block: Block) -> None:
    bench.write("Caddyfile", block.text)
    command = [needed("caddy"), "adapt", "--validate", "--adapter", "caddyfile", "--config", "Caddyfile"]
    done = bench.run(command, HOME=str(bench.folder))
    assert done.returncode == 0, done.stderr


def check_haproxy(bench: Bench, block: Block) -> None:
    bench.write("haproxy.cfg", block.text)
    done = bench.run([needed("haproxy"), "-c", "-f", "haproxy.cfg"])
    assert done.returncode == 0, done.stdout + done.stderr


def check_json(bench: Bench, block: Block) -> None:
    json.loads(block.text)


def check_file(bench: Bench, block: Block) -> None:
    """A file that other blocks of its page use; nothing is run of it alone."""
    assert block.title, "it needs a title, the name of the file that it is"


def needed(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"this machine has no {program}")
    return found


CHECKS: dict[str, Callable[[Bench, Block], None]] = {
    "python": check_python,
    "console": check_shell,
    "sh": check_shell,
    "toml": check_toml,
    "ini": check_units,
    "nginx": check_nginx,
    "caddy": check_caddy,
    "haproxy": check_haproxy,
    "json": check_json,
    "html": check_file,
    "dockerfile": check_file,
}


def check(bench: Bench, block: Block) -> None:
    """Run the block beside the server that its directives name."""
    with ExitStack() as stack:
        line = block.directives.get("server")
        if line:
            process, lines = stack.enter_context(bench.running(bench.server_command(line)))
            assert wait_for(lambda: lines.lines, process), bench.errors
        CHECKS[block.language](bench, block)


def parses(block: Block) -> bool:
    """Whether a block of Python is one; the others are judged by who runs them."""
    return block.language != "python" or bool(ast.parse(block.text).body)
