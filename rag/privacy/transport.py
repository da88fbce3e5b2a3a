"""The last check: a transport that sends only permitted bytes, and only to the addresses that were checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2

from rag.errors import NotAllowedError
from rag.privacy.destination import Destination, checked, is_relayed, locate

if TYPE_CHECKING:
    import ssl

    from rag.privacy.permit import Permit

_OBLIGING = {400, 422}
"""Status codes for an unknown parameter; the same request may follow without it."""


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Sends requests to one destination.

    The name is not resolved again: connections go to the IP addresses that were checked, and https verifies the
    certificate against the name. Any destination other than this machine needs a permit, and the bytes sent are the
    permit's, not the client's.

    Args:
        base_url: where requests may go.
        permit: permission for one request; None allows only this machine.
    """

    def __init__(self, base_url: str, *, permit: Permit | None) -> None:
        self._url = checked(base_url)
        self._permit = permit
        # without https there is nothing to verify, and loading the CA certificates takes 20 ms
        verify = authorities() if self._url.startswith("https:") else False
        self._inner = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False)  # ignore proxies from the environment

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and return the reply, whatever its status. Redirects are not followed.

        Raises:
            NotAllowedError: it may not be sent; no socket was opened.
            httpx2.TransportError: see httpx2.
        """
        content = await request.aread()
        # With a permit, use the addresses the user was shown: another lookup might give different ones.
        where = self._permit.payload.destination if self._permit else await locate(self._url)
        self._check(request, where)
        if self._permit:
            content = self._permit.admit(request.method, str(request.url), content)
        elif where.locality != "machine" or _relayed(content):
            raise NotAllowedError(
                "The model is not on this machine, and nothing was allowed to leave it.", "The draft is kept."
            )
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        failure: httpx2.TransportError = httpx2.ConnectError("the name has no address")
        before = self._permit.sent if self._permit else False
        for address in where.addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=headers,
                content=content or None,
                extensions=request.extensions | {"sni_hostname": where.host},
            )
            try:
                if self._permit:
                    self._permit.sent = True
                response = await self._inner.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:  # nothing was sent
                failure = error
                if self._permit:
                    self._permit.sent = before
                continue
            if self._permit and response.status_code in _OBLIGING:
                self._permit.reopen()
            return response
        raise failure

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _check(self, request: httpx2.Request, where: Destination) -> None:
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        host = url.host.strip("[]").casefold()
        if where.url != self._url:
            raise NotAllowedError("The consent was for another address, so nothing was sent.")
        if (host, port, url.scheme == "https") != (where.host, where.port, where.secure) or url.userinfo:
            raise NotAllowedError("The request was for another address, so it was not sent.")


def _relayed(content: bytes) -> bool:
    try:
        request = json.loads(content or b"{}")
    except ValueError:
        return True
    return isinstance(request, dict) and is_relayed(str(request.get("model", "")))


def authorities() -> ssl.SSLContext:
    """The default certificate authorities, ignoring the environment."""
    return httpx2.create_ssl_context(trust_env=False)
