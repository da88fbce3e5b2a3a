"""What may leave this machine: takes a request, returns a permit for exactly its bytes or a refusal with a reason."""

from rag.privacy.consent import consent_facts
from rag.privacy.destination import Destination, Endpoint, ModelCall, locate
from rag.privacy.gate import Consent, Gate, Verdict
from rag.privacy.permit import Payload, Permit

__all__ = [
    "Consent",
    "Destination",
    "Endpoint",
    "Gate",
    "ModelCall",
    "Payload",
    "Permit",
    "Verdict",
    "consent_facts",
    "locate",
]
