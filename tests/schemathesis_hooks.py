"""What schemathesis does not know of this API."""

import json
import os
import re
import urllib.request
import uuid

import schemathesis

LINES = "application/jsonl"
LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def own_keys():
    """The ids of the key that the tests call with: whoever revokes or rotates it learns nothing more."""
    key = os.environ.get("CAPTIONS_API_KEY")
    if not key:
        return set()
    url = os.environ["CAPTIONS_URL"] + "/v1/keys?limit=100"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + key})
    with urllib.request.urlopen(request) as reply:
        keys = json.load(reply)["data"]
    return {known["id"] for known in keys if known["last_four"] == key[-4:]}


OWN = own_keys()


@schemathesis.hook
def before_call(context, case, kwargs):
    path, query, headers = case.path_parameters or {}, case.query or {}, case.headers or {}
    # Ids that the tool found in answers: of no caption, because it was not to be stored, or of its own key.
    is_change = case.method in ("DELETE", "POST")
    if "id" in path and (path["id"] in (None, "null") or is_change and path["id"] in OWN):
        path["id"] = str(uuid.uuid4())
    # A time that nobody can keep to is answered with 503 or 504, as it should be, and would hide all else.
    time = str(headers.get("Request-Timeout-Ms", ""))
    if time.isdigit() and 1 <= int(time) < 20000:
        headers["Request-Timeout-Ms"] = "20000"
    # Which of the tags that look like one are languages is in a registry and not in a pattern.
    if LANGUAGE.fullmatch(str(query.get("language", ""))):
        query["language"] = "pt-BR"


@schemathesis.hook
def filter_case(context, case):
    """A header that nobody knows is no mistake."""
    return not any("unknown-property" in name for name in case.headers or {})


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is right although a check says otherwise."""
    is_json = "json" in response.headers.get("content-type", [""])[0]
    told = response.json() if is_json and response.content else {}
    told = told if isinstance(told, dict) else {}
    # A cursor has the right letters and was never given: its seal is not in a pattern.
    if response.status_code == 400 and told.get("code") == "cursor_invalid":
        return False
    # The tool takes the key for left out, which it sends with every request.
    is_missing = type(failure).__name__ == "MissingHeaderNotRejected"
    if is_missing and failure.header_name.lower() == "authorization" and "Authorization" in response.request.headers:
        return False
    # An empty If-Match breaks its pattern and its least length; the tool sends one, and takes it for a good one.
    if type(failure).__name__ == "RejectedPositiveData" and (case.headers or {}).get("If-Match") == "":
        return False
    # A revoked key can still be read: that it was revoked, and when, is what one wants to know of it.
    is_key = case.path.startswith("/v1/keys/") and type(failure).__name__ == "UseAfterFree"
    return not (is_key and told.get("status") == "revoked")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """JSON Lines have the schema of one line in the document; to the tool they are the list of them."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for body, least in [(operation.get("requestBody", {}), 1)] + [(reply, 0) for reply in operation["responses"].values()]:
                content = body.get("content", {}).get(LINES)
                if content:
                    content["schema"] = {"type": "array", "items": content["schema"], "minItems": least}
                    if "example" in content:
                        content["example"] = [content["example"]]


@schemathesis.serializer(LINES)
def to_lines(ctx, value):
    lines = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(line) for line in lines).encode()


@schemathesis.deserializer(LINES)
def of_lines(ctx, response):
    return [json.loads(line) for line in response.content.split(b"\n") if line]
