"""PDF → chunks → vectors. Synchronous. Knows nothing of questions or language models."""

from ingest.embed import Embedder, embedder_from
from ingest.errors import UserFacingError
from ingest.files import put_in_place, write_atomically
from ingest.library import Library, open_library
from ingest.overview import Listed
from ingest.paper import Chunk, Heading, Page, Paper, ParsedPaper
from ingest.pipeline import Ingest, IngestReport, Progress, Source, ingest_pdf, pdf_files, remove_one, tag_papers
from ingest.portfolio import save_attached
from ingest.sentences import sentence_spans
from ingest.settings import IngestSettings

__all__ = [
    "Chunk",
    "Embedder",
    "Heading",
    "Ingest",
    "IngestReport",
    "IngestSettings",
    "Library",
    "Listed",
    "Page",
    "Paper",
    "ParsedPaper",
    "Progress",
    "Source",
    "UserFacingError",
    "embedder_from",
    "ingest_pdf",
    "open_library",
    "pdf_files",
    "put_in_place",
    "remove_one",
    "save_attached",
    "sentence_spans",
    "tag_papers",
    "write_atomically",
]
