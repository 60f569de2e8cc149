"""JSON Lines, which schemathesis does not know: to it the body of a line is the body of all."""

import json

import schemathesis


@schemathesis.serializer("application/jsonl")
def lines(ctx, value):
    return json.dumps(value).encode()


@schemathesis.deserializer("application/jsonl")
def first_line(ctx, response):
    return json.loads(response.content.split(b"\n")[0])
