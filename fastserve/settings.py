"""Settings from the environment and from fastserve.toml, for what the command line leaves open.

Each option is a variable, FASTSERVE_LOG_FORMAT for --log-format, and a key of the file, log-format. The
environment counts before the file. Knows options by what is said of them, and no server. options calls it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastserve.words import SETTINGS_FILE, Refusal, header, header_line, reason

PREFIX: Final = "FASTSERVE_"
WORDS_OF_TRUTH: Final = {"1": True, "true": True, "yes": True, "on": True,
                         "0": False, "false": False, "no": False, "off": False, "": False}
# Options, by their names in the code, that leave no room for others: any of the one set, said where it counts
# first, silences all of the other. ``inherited`` is a socket that was passed.
RIVALS: Final = (
    ({"no_cache"}, {"cache_control"}),
    ({"cache_control"}, {"no_cache"}),
    ({"tls_cert"}, {"tls_key", "tls_password_file"}),
    ({"tls_cert", "tls_key", "tls_password_file"}, {"tls_self_signed"}),
    ({"tls_self_signed"}, {"tls_cert", "tls_key", "tls_password_file"}),
    ({"unix"}, {"port", "bind", "open", "qr"}),
    ({"port", "bind"}, {"unix"}),
    ({"inherited"}, {"port", "bind", "unix"}),
    ({"cgi"}, {"upload"}),
    ({"upload"}, {"cgi"}),
)
ONLY_SAID: Final = frozenset({"version", "print-completion", "config", "no-precompressed"})


def read(
    known: Mapping[str, Mapping[str, Any]], path: str | None, line: Mapping[str, Any]
) -> dict[str, Any]:
    """Return values by the names that options have in the code; ``config`` is the file, where there is one.

    ``known`` is what is said of each option, by its names; ``path`` the file that the command line names, and
    ``line`` what else it says, None and False where it says nothing. Raises Refusal.
    """
    abouts = {name.lstrip("-"): about for name, about in known.items()
              if name.startswith("--") or not name.startswith("-")}
    abouts = {name: about for name, about in abouts.items() if name not in ONLY_SAID}
    if path is None:
        usual = SETTINGS_FILE if os.path.exists(SETTINGS_FILE) else None
        path = os.environ.get(f"{PREFIX}CONFIG") or usual
    found: dict[str, Any] = {}
    if path is not None:
        found |= _of_file(abouts, path)
        found["config"] = os.path.abspath(path)
    environment = _of_environment(abouts)
    found = _unrivalled(found, environment)
    for name, value in environment.items():
        found[name] = [*found.get(name, ()), *value] if isinstance(value, list) else value
    return _unrivalled(found, line)


def _unrivalled(values: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says otherwise than what counts first."""
    said = {name for name, value in first.items() if value is not None and value is not False}
    silenced = set().union(*(other for one, other in RIVALS if said & one))
    return {name: value for name, value in values.items() if name not in silenced}


def _of_environment(abouts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, about in abouts.items():
        variable = PREFIX + name.replace("-", "_").upper()
        if variable in os.environ:
            value = os.environ[variable]
            found[about["dest"]] = _judge(about, value.splitlines() if _is_list(about) else value, variable)
    return found


def _of_file(abouts: Mapping[str, Mapping[str, Any]], path: str) -> dict[str, Any]:
    found = {}
    for name, value in _load(path).items():
        about = abouts.get(name.replace("_", "-"))
        if about is None:
            raise Refusal(f"{path}: there is no setting {name!r}{_nearest(name, abouts)}")
        found[about["dest"]] = _judge(about, value, f"{path}: {name}")
    return found


def _load(path: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        try:
            import tomli as tomllib
        except ImportError as exc:
            raise Refusal(f"to read {path!r} this Python needs tomli: pip install tomli") from exc
    try:
        with open(path, "rb") as file:
            return dict(tomllib.load(file))
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot read the settings in {path!r}: {reason(exc)}") from exc


def _nearest(name: str, abouts: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(name, abouts, 1)
    return f"; is {near[0]!r} meant?" if near else ""


def _is_list(about: Mapping[str, Any]) -> bool:
    return about.get("action") == "append"


def _judge(about: Mapping[str, Any], value: Any, source: str) -> Any:
    """Return what a setting says, as the option would; ``source`` is where it stands."""
    try:
        if about.get("action") == "store_true":
            return _truth(value)
        if _is_list(about):
            return [_item(about, each) for each in _items(value)]
        if about.get("nargs") == "?" and "const" in about and str(value).lower() in WORDS_OF_TRUTH:
            return about["const"] if _truth(value) else None
        return _typed(about, value)
    except Refusal as refusal:
        raise Refusal(f"{source}: {refusal}") from refusal


def _truth(value: Any) -> bool:
    said = WORDS_OF_TRUTH.get(str(value).strip().lower())
    if said is None:
        raise Refusal(f"{value!r} is neither true nor false")
    return said


def _items(value: Any) -> list[Any]:
    """Of a list, a table of names and values, or one alone."""
    if isinstance(value, dict):
        return [f"{name}:{_text(each)}" for name, each in value.items()]
    return value if isinstance(value, list) else [value]


def _item(about: Mapping[str, Any], value: Any) -> Any:
    if about.get("nargs") == 2:
        if isinstance(value, list) and len(value) == 2:
            return header(*map(_text, value))
        return header_line(_text(value))
    return _typed(about, value)


def _typed(about: Mapping[str, Any], value: Any) -> Any:
    kind: Callable[[str], Any] = about.get("type", str)
    return kind(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Refusal(f"{value!r} is not one text or number")
    return str(value)
