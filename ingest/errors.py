"""What can go wrong with a file or the library, each with a sentence for the user.

UserFacingError
├── UnreadablePdfError     not a PDF, damaged, or made of something else
│   ├── EncryptedPdfError  needs a password that we do not have
│   ├── NoTextError        opens, but has no text layer
│   ├── PortfolioError     a cover page with other PDFs attached to it
│   └── TooCostlyPdfError  takes more time, memory or pages than a file may
├── CancelledParseError    the user stopped it while it was being read
├── ParserStartError       the parser's child process does not start; the file may be fine
├── PathError              a path that is not there, or a folder without PDFs
├── UnknownPaperError      an id that is not in the library
├── TagError               a tag that no paper carries, or that cannot be one
├── LibraryBusyError       another process owns the library
├── LibraryMismatchError   the library is damaged, or was built with another embedder or by a newer Scholion
├── StorageError           the disk is full, or the library's folder cannot be written
├── CatalogueDatabaseError the Postgres server with the catalogue does not answer, or cannot be used
├── ChatDatabaseError      the Postgres server with the chats does not answer, or cannot be used
└── VectorServerError      the Chroma server does not answer, or is where no server may be
"""

from __future__ import annotations


class UserFacingError(Exception):
    """An error whose text is for the user: what happened, and what to do next.

    Args:
        message: what happened, one sentence.
        hint: what to do next, one sentence; may be empty where the message says it.

    `status` is the HTTP status that fits.
    """

    status = 400

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[UserFacingError], tuple[str, str]]:
        """An error keeps its two sentences when another process sends it."""
        return type(self), (self.message, self.hint)


class UnreadablePdfError(UserFacingError):
    """The file cannot be read as a PDF."""

    status = 422


class EncryptedPdfError(UnreadablePdfError):
    """The file is encrypted and the empty password does not open it."""


class NoTextError(UnreadablePdfError):
    """The file opens, but no page has text."""


class PortfolioError(UnreadablePdfError):
    """The file is a cover page with other PDFs attached, which can be added in its place."""


class TooCostlyPdfError(UnreadablePdfError):
    """The file takes more time, memory, pages or text than one file may."""


class CancelledParseError(UserFacingError):
    """The user stopped it while it was being read."""


class ParserStartError(UserFacingError):
    """The parser's child process does not start; this says nothing about the file."""

    status = 500


class PathError(UserFacingError):
    """There is nothing at the path that can be added."""


class UnknownPaperError(UserFacingError):
    """No paper in the library has this id."""

    status = 404


class TagError(UserFacingError):
    """No paper has this tag, or it is not a valid tag."""

    status = 404


class LibraryBusyError(UserFacingError):
    """Another process owns the library and this step needs to own it."""

    status = 409


class LibraryMismatchError(UserFacingError):
    """The library cannot be used with these settings or this version."""

    status = 409


class StorageError(UserFacingError):
    """The disk is full or failing, or the library's folder cannot be written."""

    status = 507


class ChatDatabaseError(UserFacingError):
    """The Postgres server named by SCHOLION_CHATS cannot be used."""

    status = 503


class CatalogueDatabaseError(UserFacingError):
    """The Postgres server named by SCHOLION_CATALOGUE cannot be used."""

    status = 503


class VectorServerError(UserFacingError):
    """The Chroma server named by SCHOLION_CHROMA cannot be used."""

    status = 503


HINT_COSTLY = "Print it to a new PDF with your PDF viewer and add that, or leave it out."


def too_large(name: str, memory_mb: int) -> TooCostlyPdfError:
    """A file that needs too much memory to parse."""
    return TooCostlyPdfError(
        f"{name} was not read: it needs more than the {memory_mb:,} MB of memory allowed.",
        HINT_COSTLY,
    )


def too_many_pages(name: str, pages: int, most: int) -> TooCostlyPdfError:
    """A file with too many pages."""
    return TooCostlyPdfError(
        f"{name} has {pages:,} pages; the limit is {most:,}.", "Split it and add the parts you need."
    )
