"""What the machine is on which something is measured, and which versions of what measured it.

Asks the system and git; knows no contestant. The engine puts the answers into its result.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

import fastserve
from fastserve.rig.measure import observe
from fastserve.rig.measure.result import Machine

PATIENCE: Final = 10.0  # seconds for a program to say its version
SYSTEM: Final = Path("/sys")
LOOPBACKS: Final = ("lo", "lo0")
TOOLS: Final = ("psutil", "hdrhistogram")  # beside fastserve; what of them is installed has a part in figures


def machine(server_cores: list[int], load_cores: list[int]) -> Machine:
    """Return the facts of this machine; what cannot be told is None or ''."""
    return Machine(
        cpu=_cpu_model(), cores=os.cpu_count() or 1, memory=observe.library().virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=_system(), governor=_governor(server_cores), loopback_mtu=_loopback_mtu(),
        load_cores=load_cores, server_cores=server_cores)


def commit(folder: Path) -> str | None:
    """Return the commit of the git tree that a folder is in, with a + where it has changed; None without."""
    found = _says("git", "-C", str(folder), "rev-parse", "HEAD")
    if not found:
        return None
    return found + ("+" if _says("git", "-C", str(folder), "status", "--porcelain", "-uno") else "")


def tools() -> dict[str, str]:
    """Return the versions of what measures and is no driver."""
    from importlib import metadata

    found = {"fastserve": fastserve.__version__}
    for name in TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _says(*command: str) -> str:
    """What a program says; '' where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return _says("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _governor(cores: list[int]) -> str | None:
    core = cores[0] if cores else 0
    return _read(SYSTEM / f"devices/system/cpu/cpu{core}/cpufreq/scaling_governor") or None


def _loopback_mtu() -> int | None:
    for name in LOOPBACKS:
        text = _read(SYSTEM / f"class/net/{name}/mtu")
        if text.isdecimal():
            return int(text)
    return _asked_mtu()


def _asked_mtu() -> int | None:
    """Where there is no /sys, ifconfig knows."""
    known = {name for _, name in socket.if_nameindex()}
    words = next((_says("ifconfig", name).split() for name in LOOPBACKS if name in known), [])
    return int(words[words.index("mtu") + 1]) if "mtu" in words[:-1] else None
