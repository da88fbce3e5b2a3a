"""Everything that can go wrong with a question or a model, each with a sentence for the user.

UserFacingError (ingest)
├── QuestionError            empty, or too long for the model
├── ModelError
│   ├── ModelUnreachableError  nothing answers, or the connection broke
│   ├── ModelTimeoutError      no answer in time
│   ├── ModelReplyError        an invalid answer: empty, truncated, HTML, broken JSON
│   ├── ModelRefusedError      the server refused: key, quota, rate, unknown model
│   └── ContextTooLongError    the prompt does not fit
├── StaleAnswerError         the passages of an answer to refine are gone
├── NoExpertError            no larger model is configured
├── NotAllowedError          nothing may leave the machine for this: policy, consent, budget, address
├── GlossaryError            the team's glossary has a wrong line
├── ModelFileError           the model's file is missing, or neither a GGUF nor an ONNX folder
├── UnknownModelError        no model has this name, or it is not for this task
├── ConversionError          a model cannot be converted, or did not pass its check
├── DownloadError            a model's file could not be downloaded, or is not the expected one
├── QuestionSetError         an evaluation's question file cannot be read; the line is named
├── CalibrationError         a calibration cannot be read, or there is too little data for one
├── RunError                 an evaluation cannot be resumed or compared
├── RecipeError              an adapter's recipe has a wrong line
└── AdapterError             an adapter cannot be trained, or there is none with this name
"""

from __future__ import annotations

from ingest.errors import UserFacingError


class QuestionError(UserFacingError):
    """The question cannot be asked as it is."""


class ModelError(UserFacingError):
    """A model failed."""

    status = 502


class ModelUnreachableError(ModelError):
    """Nothing answers at the model's address, or the connection broke."""

    status = 503


class ModelTimeoutError(ModelError):
    """No answer within the time allowed."""

    status = 504


class ModelReplyError(ModelError):
    """The server's answer is not a completion."""


class ModelRefusedError(ModelError):
    """The server refused: key, quota, rate limit, unknown model."""


class ContextTooLongError(ModelError):
    """The prompt does not fit in the model's context window."""

    status = 413


class StaleAnswerError(UserFacingError):
    """The passages of an answer to refine are no longer in the library."""

    status = 404


class NoExpertError(UserFacingError):
    """A refinement was requested, but no larger model is configured."""


class NotAllowedError(UserFacingError):
    """Something must not leave the machine, because of policy, consent, budget or address."""

    status = 403


class GlossaryError(UserFacingError):
    """The glossary cannot be read, or has a wrong line."""


class ModelFileError(UserFacingError):
    """The model's file is missing, or is neither a GGUF nor an ONNX folder."""


class UnknownModelError(UserFacingError):
    """No model has this name, or it is not for this task."""

    status = 404


class ConversionError(UserFacingError):
    """A model cannot be converted, or the result did not pass its check."""


class DownloadError(UserFacingError):
    """A model's file could not be downloaded, or is not the expected file."""

    status = 502


class QuestionSetError(UserFacingError):
    """An evaluation's question file cannot be read; the message names the line."""


class CalibrationError(UserFacingError):
    """A confidence calibration cannot be read, or there is too little data for one."""


class RunError(UserFacingError):
    """An evaluation cannot be resumed in this folder, or compared with that one."""


class RecipeError(UserFacingError):
    """An adapter's recipe cannot be read."""


class AdapterError(UserFacingError):
    """An adapter cannot be trained on this data, or there is none with this name."""
