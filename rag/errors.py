"""What can go wrong with a question or a model, each with a sentence for the user.

UserFacingError (ingest)
├── QuestionError            empty, or longer than the model can read
├── ModelError
│   ├── ModelUnreachableError  nothing answers, or the connection broke
│   ├── ModelTimeoutError      no answer in time
│   ├── ModelReplyError        an answer that is none: empty, cut, HTML, broken JSON
│   ├── ModelRefusedError      the server said no: key, quota, rate, unknown model
│   └── ContextTooLongError    the prompt does not fit
├── StaleAnswerError         an answer is to be refined whose passages are gone
├── NoExpertError            no larger model is set up
├── NotAllowedError          nothing may leave the machine for this: policy, consent, budget, address
├── GlossaryError            the team's glossary has a wrong line
├── ModelFileError           the model's file is missing or not a GGUF
├── UnknownModelError        no model has this name, or it is not one for this task
├── DownloadError            a model's file could not be fetched, or is not the one that was wanted
├── QuestionSetError         a file of questions for an evaluation cannot be read; the line is named
├── CalibrationError         a calibration cannot be read, or there is too little to learn one from
├── RunError                 an evaluation cannot be continued or compared
├── RecipeError              the recipe of an adapter has a wrong line
└── AdapterError             an adapter cannot be taught, or there is none of this name
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


class StaleAnswerError(UserFacingError):
    """An answer is to be refined, and its passages are not in the library any more."""

    status = 404


class NoExpertError(UserFacingError):
    """A refinement was asked for, and no larger model is set up."""


class NotAllowedError(UserFacingError):
    """Something was about to leave the machine, and may not: by policy, consent, budget or its address."""

    status = 403


class GlossaryError(UserFacingError):
    """The glossary cannot be read, or a line of it is wrong."""


class ModelFileError(UserFacingError):
    """The model's file is missing or is not a GGUF."""


class UnknownModelError(UserFacingError):
    """No model has this name, or it is not one for this task."""

    status = 404


class DownloadError(UserFacingError):
    """A model's file could not be fetched, or what came is not the file that was wanted."""

    status = 502


class QuestionSetError(UserFacingError):
    """A file of questions for an evaluation cannot be read; the message names the line."""


class CalibrationError(UserFacingError):
    """A calibration of the confidence cannot be read, or there is too little to learn one from."""


class RunError(UserFacingError):
    """An evaluation cannot be continued in this folder, or compared with that one."""


class RecipeError(UserFacingError):
    """The recipe of an adapter cannot be read."""


class AdapterError(UserFacingError):
    """An adapter cannot be taught from this, or there is none of this name."""
