"""What can go wrong with a question or a model, each with a sentence for the user.

UserFacingError (ingest)
├── QuestionError            empty, or longer than the model can read
├── ModelError
│   ├── ModelUnreachableError  nothing answers, or the connection broke
│   ├── ModelTimeoutError      no answer in time
│   ├── ModelReplyError        an answer that is none: empty, cut, HTML, broken JSON
│   ├── ModelRefusedError      the server said no: key, quota, rate, unknown model
│   └── ContextTooLongError    the prompt does not fit
├── NotAllowedError          nothing may leave the machine for this: policy, consent, budget, address
├── GlossaryError            the team's glossary has a wrong line
├── ModelFileError           the model's file is missing or not a GGUF
├── QuestionSetError         a file of questions for an evaluation cannot be read; the line is named
├── CalibrationError         a calibration cannot be read, or there is too little to learn one from
└── RunError                 an evaluation cannot be continued or compared
"""

from __future__ import annotations

from ingest.errors import UserFacingError


class QuestionError(UserFacingError):
    """The question cannot be asked as it is."""


class ModelError(UserFacingError):
    """A model did not deliver."""

    status = 502


class ModelUnreachableError(ModelError):
    """Nothing answers at the model's address, or the connection broke."""

    status = 503


class ModelTimeoutError(ModelError):
    """No answer within the time allowed."""

    status = 504


class ModelReplyError(ModelError):
    """The server answered with something that is not a completion."""


class ModelRefusedError(ModelError):
    """The server refused: key, quota, rate limit, unknown model."""


class ContextTooLongError(ModelError):
    """The prompt does not fit in the model's context window."""

    status = 413


class NotAllowedError(UserFacingError):
    """Something was about to leave the machine, and may not: by policy, consent, budget or its address."""

    status = 403


class GlossaryError(UserFacingError):
    """The glossary cannot be read, or a line of it is wrong."""


class ModelFileError(UserFacingError):
    """The model's file is missing or is not a GGUF."""


class QuestionSetError(UserFacingError):
    """A file of questions for an evaluation cannot be read; the message names the line."""


class CalibrationError(UserFacingError):
    """A calibration of the confidence cannot be read, or there is too little to learn one from."""


class RunError(UserFacingError):
    """An evaluation cannot be continued in this folder, or compared with that one."""
