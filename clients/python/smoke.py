"""The built Python client against a running server, and against one that answers by script.

    python smoke.py URL
"""

import os
import sys

import httpx
from captions import CaptionsError, Patient, connect, watch
from captions_client import Client
from captions_client.api.captions import create_caption, list_captions, read_caption, write_variants
from captions_client.api.texts import check_text
from captions_client.api.users import change_preferences, create_user, dismiss_suggestion, erase_user, list_users
from captions_client.models import CheckBody, GenerateBody, MoreBody, PreferencesBody, Problem, UserBody

url = sys.argv[1]
client = connect(url)
user = f"py_{os.getpid()}"
about = "Bread on the counter of a bakery"

made = create_user.sync_detailed(client=client, body=UserBody(id=user, preferences=PreferencesBody(tone="warm")))
assert made.status_code == 201, made
version = made.headers["etag"]
changed = change_preferences.sync(user, client=client, body=PreferencesBody(tone="calm"), if_match=version)
assert changed.tone == "calm", changed
late = change_preferences.sync(user, client=client, body=PreferencesBody(tone="warm"), if_match=version)
assert isinstance(late, Problem) and late.code == "version_mismatch", late

written = create_caption.sync(client=client, body=GenerateBody(content_description=about, user_id=user))
assert not isinstance(written, Problem) and written.text, written
assert read_caption.sync(written.id, client=client).text == written.text
page = list_captions.sync(client=client, user_id=user, limit=5)
assert len(page.data) == 1, page
grown = write_variants.sync(written.id, client=client, body=MoreBody(count=2))
assert not isinstance(grown, Problem), grown
assert (grown.additions[0].first, len(grown.variants)) == (1, 1 + grown.additions[0].count), grown
users = list_users.sync(client=client, limit=100)
assert users.has_more or user in [one.id for one in users.data], users
dismissed = dismiss_suggestion.sync(user, "emoji-none", client=client)
assert isinstance(dismissed, Problem) and dismissed.code == "suggestion_not_found", dismissed

judged = check_text.sync(client=client, body=CheckBody(text="#a1 #b1 #c1 #d1 #e1 #f1"))
assert judged.publishable is False, judged
wrong = create_caption.sync(client=client, body=GenerateBody(content_description="bread", tone="freindly"))
assert isinstance(wrong, Problem) and wrong.errors[0].nearest == "friendly", wrong

# What is left out is left out, so that the preferences count.
assert GenerateBody(content_description=about).to_dict().keys().isdisjoint({"tone", "platform", "audience"})

shown, caption = "", None
for event in watch(client, GenerateBody(content_description=about, user_id=user, cache="bypass")):
    if event.kind == "delta":
        shown += event.data["text"]
    elif event.kind == "withdrawn":
        shown = ""
    elif event.kind == "completed":
        caption = event.caption
assert shown and shown.strip() in caption.text, (shown, caption)
try:
    list(watch(client, GenerateBody(content_description="x")))
    raise AssertionError("a refusal was expected")
except CaptionsError as error:
    assert error.code == "invalid_request", error
assert erase_user.sync(user, client=client).user_erased is True


# What only a server by script can show.
def scripted(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    left, seen = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.copy())
        told = left.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    transport = Patient(httpx.MockTransport(answer))
    return Client(base_url="http://scripted", httpx_args={"transport": transport}), seen


def events(*frames: str) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content="".join(frames).encode())


def delta(number: int, text: str) -> str:
    return f'event: caption.delta\nid: {number}\ndata: {{"candidate": 1, "text": "{text}"}}\n\n'


busy = httpx.Response(503, headers={"retry-after-ms": "1"}, json={"code": "overloaded", "retryable": True})
exists = httpx.Response(409, json={"code": "user_exists", "retryable": False})
scripted_client, seen = scripted(busy, httpx.ReadError("cut"), exists)
http = scripted_client.get_httpx_client()
assert http.post("/v1/users", json={"id": user}).status_code == 409
assert len({headers["idempotency-key"] for headers in seen}) == 1 and len(seen) == 3, seen

created = 'event: caption.created\nid: 1\ndata: {"request_id": "r"}\n\n'
scripted_client, seen = scripted(
    events(created, ": ka\n\n", delta(2, "Warm ")),
    events(delta(3, "bread"), "event: caption.delta\nid: 4\nda"),
    events('event: error\ndata: {"status": 503, "code": "stream_cut", "detail": "cut"}\n\n'),
    events(created, 'event: error\nid: 5\ndata: {"status": 504, "code": "provider_timeout", "detail": "late"}\n\n'),
)
told = []
try:
    for event in watch(scripted_client, GenerateBody(content_description=about), retries=3):
        told.append(event.data.get("text") or event.data.get("code") or event.kind)
except CaptionsError as error:
    told.append(error.code)
assert told == ["created", "Warm ", "bread", "started_anew", "provider_timeout"], told
assert [headers.get("last-event-id") for headers in seen] == [None, "2", "3", None], seen
print("Python client: fine")
