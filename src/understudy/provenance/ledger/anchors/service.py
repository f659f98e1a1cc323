"""Ask an anchor's service over the network."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from understudy.errors import TrustError

TIMEOUT = 30.0
"""Seconds."""

LARGEST = 1 << 20
"""Bytes of an answer or a proof."""


class _Here(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else than where the user said."""

    def redirect_request(self, *_: object) -> None:
        return None


def fetch(url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """What `url` answers to a GET, or to a POST of `body`; follows no redirection.

    Raises:
        TrustError: it cannot be reached, refuses, or answers more than LARGEST.
        FileNotFoundError: 404, by which calendars say `not yet`.
    """
    host = urlsplit(url)
    if host.scheme not in ("http", "https") or not host.hostname:
        raise TrustError(f"{url!r} is not a valid URL.", "Give one that starts with https://.")
    request = urllib.request.Request(url, body, dict(headers))
    try:
        with urllib.request.build_opener(_Here).open(request, timeout=TIMEOUT) as answer:
            data = bytes(answer.read(LARGEST + 1))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            raise FileNotFoundError(url) from error
        raise TrustError(f"{url} answered {error.code}.", "Try later or another URL.") from error
    except (OSError, http.client.HTTPException) as error:
        raise TrustError(
            f"{url} cannot be reached ({getattr(error, 'reason', error)}).",
            "Try again when this machine is online.",
        ) from error
    if len(data) > LARGEST:
        raise TrustError(f"The answer of {url} is too large.", "Use another URL.")
    return data
