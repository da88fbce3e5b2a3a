"""What the catalogue asks of a connection, as `sqlite3` has it; the one to Postgres does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType


class Cursor(Protocol):
    """The rows of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All other rows."""

    def __iter__(self) -> Iterator[Any]:
        """The rows one by one."""


class Connection(Protocol):
    """A connection; `with` it is a transaction, which the first statement that writes begins."""

    @property
    def in_transaction(self) -> bool:
        """Whether something was written that is not stored yet."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run a statement with values for `?` or `:name`."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run a statement once for each row of values."""

    def commit(self) -> None:
        """Store what was written."""

    def rollback(self) -> None:
        """Forget what was written."""

    def __enter__(self) -> Self:
        """Begin a block that is stored as a whole."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Any:
        """Store it, or forget it after an error."""
