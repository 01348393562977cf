"""Fixtures of the handlers' tests."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastserve

from .lanes import Gate
from .makers import Files
from .replaying import settled_folder
from .uploading import Uploads


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What settled_folder() makes: for answers that are recorded."""
    return settled_folder(tmp_path_factory.mktemp("replay"))


@pytest.fixture
def one(home: Path) -> Path:
    """The first of its two folders."""
    return home / "one"


@pytest.fixture
def files(serve: Any, folder: Path) -> Any:
    """A function that serves ``folder`` with a handler class, whose attributes may be given by name."""

    def start(server_class: Any = fastserve.HTTPServer, base: Any = Files, **options: Any) -> Any:
        attributes = {name: options.pop(name) for name in list(options) if hasattr(base, name)}
        handler = type("Handler", (base,), attributes)
        return serve(functools.partial(handler, directory=str(folder), **options), server_class)

    return start


@pytest.fixture
def tree(folder: Path) -> Path:
    """``folder`` with ``dir/file.txt`` and an empty ``dir/deep/``."""
    (folder / "dir" / "deep").mkdir(parents=True)
    (folder / "dir" / "file.txt").write_text("file")
    return folder


@pytest.fixture
def uploads(files: Any, client: Any, tree: Path) -> Any:
    """A function that serves ``tree``, takes uploads into it, and gives a client."""

    def start(server_class: Any = fastserve.HTTPServer, **options: Any) -> Any:
        return client(files(server_class, Uploads, **options))

    return start


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end, so that no handler is left waiting."""
    gate = Gate()
    yield gate
    gate.open()
