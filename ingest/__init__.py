"""PDF → chunks → vectors. Synchronous. Knows nothing of questions or language models."""

from ingest.embed import Embedder, embedder_from
from ingest.errors import UserFacingError
from ingest.library import Library, open_library
from ingest.paper import Chunk, Heading, Page, Paper, ParsedPaper
from ingest.pipeline import IngestReport, Progress, ingest_pdf, pdf_files
from ingest.settings import IngestSettings

__all__ = [
    "Chunk",
    "Embedder",
    "Heading",
    "IngestReport",
    "IngestSettings",
    "Library",
    "Page",
    "Paper",
    "ParsedPaper",
    "Progress",
    "UserFacingError",
    "embedder_from",
    "ingest_pdf",
    "open_library",
    "pdf_files",
]
