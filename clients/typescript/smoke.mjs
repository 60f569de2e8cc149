// The built TypeScript client against a running server, and against one that answers by script.
//
//     node smoke.mjs URL

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { CaptionsError, changePreferences, checkText, connect, createCaption, createUser, dismissSuggestion, eraseUser, listCaptions, listUsers, readCaption, watchCaption, writeVariants } from './dist/index.js';

const client = connect({ baseUrl: process.argv[2] });
const id = `ts_${process.pid}_${Date.now()}`;
const body = { content_description: 'Bread on the counter of a bakery', user_id: id };

const user = await createUser({ client, body: { id, preferences: { tone: 'warm' } } });
assert.equal(user.response.status, 201, JSON.stringify(user.error));
const version = user.response.headers.get('etag');
const changed = await changePreferences({ client, path: { id }, body: { tone: 'calm' }, headers: { 'If-Match': version } });
assert.equal(changed.data?.tone, 'calm', JSON.stringify(changed.error));
const late = await changePreferences({ client, path: { id }, body: { tone: 'warm' }, headers: { 'If-Match': version } });
assert.equal(late.error?.code, 'version_mismatch');

const written = await createCaption({ client, body });
assert.ok(written.data?.text, JSON.stringify(written.error));
const read = await readCaption({ client, path: { id: written.data.id } });
assert.equal(read.data?.text, written.data.text);
const page = await listCaptions({ client, query: { user_id: id, limit: 5 } });
assert.equal(page.data?.data.length, 1);
const grown = await writeVariants({ client, path: { id: written.data.id }, body: { count: 2 } });
const added = grown.data?.additions?.[0];
assert.deepEqual([added?.first, grown.data?.variants.length], [1, 1 + (added?.count ?? 0)], JSON.stringify(grown.error));
const users = await listUsers({ client, query: { limit: 100 } });
assert.ok(users.data?.has_more || users.data?.data.some((one) => one.id === id), JSON.stringify(users.error));
const dismissed = await dismissSuggestion({ client, path: { id, suggestion: 'emoji-none' } });
assert.equal(dismissed.error?.code, 'suggestion_not_found', 'nothing was said yet that could suggest it');

const judged = await checkText({ client, body: { text: '#a1 #b1 #c1 #d1 #e1 #f1' } });
assert.equal(judged.data?.publishable, false);
const wrong = await createCaption({ client, body: { content_description: 'bread', tone: 'freindly' } });
assert.deepEqual([wrong.response.status, wrong.error?.errors?.[0].nearest], [422, 'friendly']);

let shown = '';
let completed;
for await (const event of watchCaption(client, { ...body, cache: 'bypass' })) {
    if (event.type === 'delta') shown += event.text;
    else if (event.type === 'withdrawn') shown = '';
    else if (event.type === 'completed') completed = event.caption;
}
assert.ok(shown && completed?.text.includes(shown.trim()), shown);
await assert.rejects(watchCaption(client, { content_description: 'x' }).next(), (error) => error instanceof CaptionsError && error.code === 'invalid_request');
assert.equal((await eraseUser({ client, path: { id } })).data?.user_erased, true);

// What only a server by script can show.
const seen = [];
let script = [];
const server = createServer((request, response) => {
    seen.push(request.headers);
    request.resume().on('end', () => script.shift()(response));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const scripted = connect({ baseUrl: `http://127.0.0.1:${server.address().port}/`, key: 'captions_abc', retries: 3, silenceMs: 5000 });
const busy = (response) => response.writeHead(503, { 'retry-after-ms': '1', 'content-type': 'application/json' }).end('{"code":"overloaded","retryable":true}');
const fine = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"publishable":true}');
const exists = (response) => response.writeHead(409, { 'content-type': 'application/json' }).end('{"code":"user_exists","retryable":false}');
script = [busy, (response) => response.destroy(), fine];
assert.equal((await checkText({ client: scripted, body: { text: 'x' } })).data?.publishable, true);
assert.equal(new Set(seen.map((headers) => headers['idempotency-key'])).size, 1);
assert.equal(seen[0].authorization, 'Bearer captions_abc');
script = [exists];
assert.equal((await createUser({ client: scripted, body: { id } })).error?.code, 'user_exists');

seen.length = 0;
const events = (frames) => (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(frames);
    setTimeout(() => response.destroy(), 50);
};
const created = 'event: caption.created\nid: 1\ndata: {"request_id":"r"}\n\n';
const delta = (number, text) => `event: caption.delta\nid: ${number}\ndata: {"candidate":1,"text":"${text}"}\n\n`;
const done = 'event: caption.completed\nid: 9\ndata: {"text":"Warm bread"}\n\n';
script = [events(`${created}: ka\n\n${delta(2, 'Warm ')}`), events(`${delta(3, 'bread')}`), events('event: error\ndata: {"status":503,"code":"stream_cut","detail":"cut"}\n\n'), events(`${created}${delta(2, 'Fresh')}${done}`)];
const told = [];
for await (const event of watchCaption(scripted, body)) told.push(event.type === 'delta' ? event.text : (event.code ?? event.type));
assert.deepEqual(told, ['created', 'Warm ', 'bread', 'started_anew', 'Fresh', 'completed']);
assert.deepEqual(seen.map((headers) => headers['last-event-id']), [undefined, '2', '3', undefined]);
assert.equal(new Set(seen.map((headers) => headers['idempotency-key'])).size, 1);
server.close();
server.closeAllConnections?.();
console.log('TypeScript client: fine');
