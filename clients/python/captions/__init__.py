"""The generated client with what a generator does not know: retries, keys under which a POST is done once, and captions
that are watched while they are written.

    from captions import connect, watch
    from captions_client.api.captions import create_caption
    from captions_client.models import GenerateBody

    client = connect("https://captions.example.com", key=os.environ.get("CAPTIONS_API_KEY"))
    caption = create_caption.sync(client=client, body=GenerateBody(content_description="golden hour at the cafe"))
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from captions_client import Client
from captions_client.models import CaptionDocument, GenerateBody

__all__ = ["CaptionsError", "Event", "Patient", "connect", "watch"]

FIRST_WAIT, MAX_WAIT = 0.5, 8.0
LONGEST_ASKED_WAIT = 60.0
"""A server that asks for a longer wait is not waited for."""
SILENCE = 45.0
"""How long a stream may be silent before its connection counts as lost; signs of life come every 15 s."""


def connect(base_url: str, key: str | None = None, timeout: float = 60.0, retries: int = 2) -> Client:
    """A client for the generated functions; timeout in seconds, for one attempt. Retries are for the `sync` functions."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Client(
        base_url=base_url.rstrip("/"),
        headers=headers,
        timeout=httpx.Timeout(timeout, connect=5.0),
        httpx_args={"transport": Patient(httpx.HTTPTransport(), retries)},
    )


class Patient(httpx.BaseTransport):
    """Sends a request until there is an answer worth keeping. A POST has the same Idempotency-Key every time."""

    def __init__(self, inner: httpx.BaseTransport, retries: int = 2) -> None:
        self.inner, self.retries = inner, retries

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        retry = 0
        while True:
            try:
                response = self.inner.handle_request(request)
                if response.is_success:
                    return response
                response.read()
                wait = _again(response, retry) if retry < self.retries else None
                if wait is None:
                    return response
                response.close()
            except httpx.TransportError:
                # A change of one version is not repeated once it may have arrived.
                if retry >= self.retries or "If-Match" in request.headers:
                    raise
                wait = _backoff(retry)
            time.sleep(wait)
            retry += 1

    def close(self) -> None:
        self.inner.close()


def _again(response: httpx.Response, retry: int) -> float | None:
    """The wait before the next attempt; none if there is to be no other."""
    told = response.headers.get("x-should-retry")
    passing = response.status_code >= 500 or response.status_code in (408, 409, 429)
    problem = _problem(response)
    worth_it = told == "true" or (told != "false" and problem.get("retryable", passing))
    if not worth_it:
        return None
    wait = _asked_wait(response.headers)
    if wait is None:
        return _backoff(retry)
    return wait if wait <= LONGEST_ASKED_WAIT else None


def _asked_wait(headers: httpx.Headers) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None


def _backoff(retry: int) -> float:
    return min(FIRST_WAIT * 2**retry, MAX_WAIT) * (1 - 0.25 * random.random())


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


class CaptionsError(Exception):
    """The server said no. `problem` is its problem document, `code` the stable name in it."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status, self.problem, self.code = status, problem, problem.get("code")
        super().__init__(problem.get("detail", f"the answer has the status {status}"))


@dataclass(frozen=True)
class Event:
    """`kind` is created, delta, withdrawn (the text so far is void) or completed, which is the last and has `caption`."""

    kind: str
    data: dict[str, Any]
    caption: CaptionDocument | None = None


def watch(client: Client, body: GenerateBody, retries: int = 2) -> Iterator[Event]:
    """The events of one caption. A connection that breaks is taken up again behind the last event; where the server tells
    all anew, what was shown is withdrawn with the code `started_anew`. Closing the iterator stops the writing."""
    http = client.get_httpx_client()
    headers = {"Accept": "text/event-stream", "Idempotency-Key": str(uuid.uuid4())}
    begun, shown, breaks = False, None, 0
    timeout = httpx.Timeout(SILENCE, connect=5.0)
    while True:
        try:
            with http.stream("POST", "/v1/captions/stream", json=body.to_dict(), headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise CaptionsError(answer.status_code, _problem(answer))
                for name, event_id, data in _frames(answer.iter_lines()):
                    if event_id:
                        headers["Last-Event-ID"] = event_id
                    if name == "error" and data.get("code") == "stream_cut" and headers.pop("Last-Event-ID", None):
                        # The server cannot go on with what was taken up: it is asked to begin anew.
                        raise httpx.RemoteProtocolError("the stream was cut off")
                    if name == "error":
                        raise CaptionsError(data.get("status", 0), data)
                    kind = name.removeprefix("caption.")
                    if kind == "completed":
                        yield Event(kind, data, CaptionDocument.from_dict(data))
                        return
                    if kind == "created" and begun:
                        if shown is not None:
                            yield Event("withdrawn", {"candidate": shown, "code": "started_anew"})
                        shown = None
                        continue
                    if kind not in ("created", "delta", "withdrawn"):
                        continue
                    begun = True
                    shown = data["candidate"] if kind == "delta" else None
                    yield Event(kind, data)
            raise httpx.RemoteProtocolError("the events ended without a last one")
        except httpx.TransportError:
            if breaks >= retries:
                raise
        time.sleep(_backoff(breaks))
        breaks += 1


def _frames(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, id and data of each event; one that the stream does not end is none."""
    name, event_id, data = "message", "", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield name, event_id, json.loads("\n".join(data))
            name, event_id, data = "message", "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id":
            event_id = value
