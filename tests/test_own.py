"""Whether methods of an object are the library's own: on every place where another may come from."""

import types
from typing import Any
from unittest import mock

import pytest

from fastserve._own import OwnMethods


class Library:
    def one(self) -> str:
        return "one"

    def two(self) -> str:
        return "two"

    def other(self) -> None: ...


OWN = OwnMethods(Library, "one", "two")


def another(self: Any) -> str:
    return "another"


class Derived(Library):
    def other(self) -> None: ...


class Mixin:
    two = another


class Overriding(Derived):
    one = another


class Mixed(Mixin, Derived):
    pass


class MixedBehind(Derived, Mixin):
    pass


class Slotted(Library):
    __slots__ = ()


class Asking(Library):
    def __getattribute__(self, name: str) -> Any:
        return another if name == "one" else super().__getattribute__(name)


@pytest.mark.parametrize("kind", [Library, Derived, MixedBehind, Slotted])
def test_own(kind: type) -> None:
    assert OWN.are_of(kind())


@pytest.mark.parametrize("kind", [Overriding, Mixed, Asking])
def test_overridden_by_a_class(kind: type) -> None:
    assert not OWN.are_of(kind())


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("owner", [Library, Derived])
def test_patched_on_a_class_and_back(owner: type, name: str) -> None:
    first, second = Derived(), Derived()
    assert OWN.are_of(first)
    with mock.patch.object(owner, name, another):
        assert not OWN.are_of(first)
        assert not OWN.are_of(second)
    assert OWN.are_of(first)


@pytest.mark.parametrize("value", [another, types.MethodType(another, 1), mock.Mock(), 1, None])
def test_set_on_an_object_and_removed(value: Any) -> None:
    first, second = Derived(), Derived()
    first.two = value
    assert not OWN.are_of(first)
    assert OWN.are_of(second)
    del first.two
    assert OWN.are_of(first)
    vars(second)["one"] = value
    assert not OWN.are_of(second)


def test_own_methods_of_somebody_else() -> None:
    first, second = Library(), Library()
    first.one = second.one  # type: ignore[method-assign]
    assert not OWN.are_of(first)


def test_own_functions_by_another_way_are_declined() -> None:
    library = Library()
    library.one = library.one  # type: ignore[method-assign]
    assert not OWN.are_of(library)


def test_a_method_that_is_gone_is_missed() -> None:
    class Gone:
        def one(self) -> None: ...

    own = OwnMethods(Gone, "one")
    del Gone.one
    with pytest.raises(AttributeError, match="one"):
        own.are_of(Gone())


def test_only_what_the_class_has_itself() -> None:
    with pytest.raises(KeyError):
        OwnMethods(Derived, "one")
