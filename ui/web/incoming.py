"""Receive uploads in pieces into the session's folder; Chainlit would read them whole into memory."""

from __future__ import annotations

import asyncio
import mimetypes
import shutil
import uuid
from typing import TYPE_CHECKING

from chainlit.server import validate_file_upload
from chainlit.session import WebsocketSession
from fastapi import HTTPException, UploadFile

if TYPE_CHECKING:
    from pathlib import Path


async def receive(session_id: str, file: UploadFile, ask_parent_id: str | None = None) -> dict[str, str]:
    """The id of the file in the session; `ui.web.guard` has checked whose session it is.

    Raises:
        HTTPException: there is no such session, or the file's type or size is not accepted.
    """
    session = WebsocketSession.get_by_id(session_id)
    if session is None or ask_parent_id:  # Scholion never asks for files
        raise HTTPException(404, "There is no such chat.")
    if not file.filename or not file.content_type:
        raise HTTPException(400, "The file has no name or no type.")
    try:
        validate_file_upload(file)
    except ValueError as error:
        raise HTTPException(400, f"{error}.") from error
    file_id = str(uuid.uuid4())
    path = session.files_dir / f"{file_id}{mimetypes.guess_extension(file.content_type) or ''}"
    size = await asyncio.to_thread(copy_upload, file, path)
    kept = {"id": file_id, "path": path, "name": file.filename, "type": file.content_type, "size": size}
    session.files[file_id] = kept
    return {"id": file_id}


def copy_upload(file: UploadFile, path: Path) -> int:
    """Write the upload, held in an unnamed temporary file, and return its size."""
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as target:
        shutil.copyfileobj(file.file, target)
        return target.tell()
