// The generated client with what a generator does not know: retries, keys under which a POST is done once, and captions
// that are watched while they are written.
//
//     import { connect, createCaption, watchCaption } from 'captions-client';
//     const client = connect({ baseUrl: 'https://captions.example.com', key: process.env.CAPTIONS_API_KEY });
//     const { data, error } = await createCaption({ client, body: { content_description: 'golden hour at the cafe' } });

import { createClient, type Client } from './generated/client/index.js';
import type { CaptionDocument, GenerateBody, Problem } from './generated/types.gen.js';

export * from './generated/sdk.gen.js';
export type * from './generated/types.gen.js';

export interface Options {
    /** Such as https://captions.example.com */
    baseUrl: string;
    /** Sent as `Authorization: Bearer`. */
    key?: string;
    /** How often a failed attempt is repeated, and a stream that was cut off taken up again. */
    retries?: number;
    /** How long a stream may be silent before its connection counts as lost, in ms; signs of life come every 15 s. */
    silenceMs?: number;
}

/** What {@link connect} gives: a client of the generated functions that also knows how patient it is. */
export type Captions = Client & { options: Required<Omit<Options, 'key'>> };

const FIRST_WAIT = 500;
const MAX_WAIT = 8_000;
/** A server that asks for a longer wait is not waited for. */
const LONGEST_ASKED_WAIT = 60_000;

export function connect(options: Options): Captions {
    const { baseUrl, key, retries = 2, silenceMs = 45_000 } = options;
    const client = createClient({
        baseUrl: baseUrl.replace(/\/+$/, ''),
        headers: key ? { Authorization: `Bearer ${key}` } : {},
        fetch: (input, init) => patient(new Request(input, init), retries),
    });
    return Object.assign(client, { options: { baseUrl, retries, silenceMs } });
}

/** Sends a request until there is an answer that is worth keeping. A POST has the same Idempotency-Key every time. */
async function patient(request: Request, retries: number): Promise<Response> {
    if (request.method === 'POST' && !request.headers.has('Idempotency-Key')) {
        request.headers.set('Idempotency-Key', globalThis.crypto?.randomUUID?.() ?? fallbackId());
    }
    for (let retry = 0; ; retry += 1) {
        let wait: number;
        try {
            const response = await fetch(request.clone());
            const asked = response.ok || retry === retries ? undefined : await again(response, retry);
            if (asked === undefined) return response;
            await response.body?.cancel();
            wait = asked;
        } catch (error) {
            // A change of one version is not repeated once it may have arrived.
            if (request.signal.aborted || retry === retries || request.headers.has('If-Match')) throw error;
            wait = backoff(retry);
        }
        await sleep(wait, request.signal);
    }
}

/** The wait before the next attempt, in ms; undefined if there is to be none. */
async function again(response: Response, retry: number): Promise<number | undefined> {
    const told = response.headers.get('x-should-retry');
    const problem = (await response.clone().json().catch(() => undefined)) as Problem | undefined;
    const isPassing = response.status >= 500 || [408, 409, 429].includes(response.status);
    const isWorthIt = told === 'true' || (told !== 'false' && (problem?.retryable ?? isPassing));
    if (!isWorthIt) return undefined;
    const asked = askedWait(response.headers);
    if (asked === undefined) return backoff(retry);
    return asked <= LONGEST_ASKED_WAIT ? asked : undefined;
}

function askedWait(headers: Headers): number | undefined {
    const ms = Number.parseFloat(headers.get('retry-after-ms') ?? '');
    if (ms >= 0) return ms;
    const told = headers.get('retry-after');
    if (told === null) return undefined;
    const wait = Number.isNaN(Number(told)) ? Date.parse(told) - Date.now() : Number(told) * 1000;
    return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** 0.5 s that double up to 8 s, up to a quarter less by chance. */
function backoff(retry: number): number {
    return Math.min(FIRST_WAIT * 2 ** retry, MAX_WAIT) * (1 - 0.25 * Math.random());
}

function sleep(ms: number, signal?: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
        const leave = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener('abort', leave);
            resolve();
        }, ms);
        signal?.addEventListener('abort', leave, { once: true });
    });
}

function fallbackId(): string {
    return Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

/** What a caption's stream tells. After `withdrawn` the text so far is void, and the next delta starts anew. */
export type CaptionEvent =
    | { type: 'created'; requestId: string }
    | { type: 'delta'; candidate: number; text: string }
    | { type: 'withdrawn'; candidate: number; code: string }
    | { type: 'completed'; caption: CaptionDocument };

/** The server said no. */
export class CaptionsError extends Error {
    constructor(
        readonly status: number,
        readonly problem: Problem | undefined,
    ) {
        super(problem ? `${problem.detail} [${problem.code}]` : `the answer has the status ${status}`);
        this.name = 'CaptionsError';
    }

    /** The stable name to branch on; a newer server may have more of them than the types know. */
    get code(): string | undefined {
        return this.problem?.code;
    }
}

class ConnectionLost extends Error {}

/**
 * The events of one caption; the last one is `completed`, or it throws. A connection that breaks is taken up again behind
 * the last event; where the server tells all anew, what was shown is withdrawn with the code `started_anew`. Leaving the
 * loop, or aborting `signal`, stops the writing.
 */
export async function* watchCaption(client: Captions, body: GenerateBody, signal?: AbortSignal): AsyncGenerator<CaptionEvent> {
    const { retries, silenceMs } = client.options;
    const { baseUrl, headers, fetch: send = fetch } = client.getConfig();
    const once = globalThis.crypto?.randomUUID?.() ?? fallbackId();
    let last = '';
    let shown: number | undefined;
    let hasBegun = false;
    for (let breaks = 0; ; breaks += 1) {
        const leave = new AbortController();
        const onAbort = () => leave.abort(signal?.reason);
        signal?.addEventListener('abort', onAbort);
        if (signal?.aborted) onAbort();
        try {
            const asked = new Headers(headers as HeadersInit);
            asked.set('Accept', 'text/event-stream');
            asked.set('Content-Type', 'application/json');
            asked.set('Idempotency-Key', once);
            if (last) asked.set('Last-Event-ID', last);
            const init = { method: 'POST', headers: asked, body: JSON.stringify(body), signal: leave.signal };
            const response = await send(`${baseUrl}/v1/captions/stream`, init);
            if (!response.ok || !response.body) {
                throw new CaptionsError(response.status, (await response.json().catch(() => undefined)) as Problem | undefined);
            }
            for await (const frame of frames(response.body, silenceMs)) {
                last = frame.id || last;
                const data = JSON.parse(frame.data);
                switch (frame.event) {
                    case 'caption.created':
                        if (!hasBegun) yield { type: 'created', requestId: data.request_id };
                        else if (shown !== undefined) yield { type: 'withdrawn', candidate: shown, code: 'started_anew' };
                        hasBegun = true;
                        shown = undefined;
                        break;
                    case 'caption.delta':
                        shown = data.candidate;
                        yield { type: 'delta', ...data };
                        break;
                    case 'caption.withdrawn':
                        shown = undefined;
                        yield { type: 'withdrawn', ...data };
                        break;
                    case 'caption.completed':
                        yield { type: 'completed', caption: data };
                        return;
                    case 'error':
                        // The server cannot go on with what was taken up: it is asked to begin anew.
                        if (data.code === 'stream_cut' && last) {
                            last = '';
                            throw new ConnectionLost(data.detail);
                        }
                        throw new CaptionsError(data.status, data);
                }
            }
            throw new ConnectionLost('the events ended without a last one');
        } catch (error) {
            if (error instanceof CaptionsError || signal?.aborted || breaks >= retries) throw error;
        } finally {
            signal?.removeEventListener('abort', onAbort);
            leave.abort();
        }
        await sleep(backoff(breaks), signal);
    }
}

interface Frame {
    event: string;
    id: string;
    data: string;
}

/** The frames of an event stream; one that the stream does not end is none. */
async function* frames(body: ReadableStream<Uint8Array>, silenceMs: number): AsyncGenerator<Frame> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = '';
    try {
        for (;;) {
            const { done, value } = await withinSilence(reader.read(), silenceMs);
            if (done) return;
            text += decoder.decode(value, { stream: true });
            // A CR at the very end may be half of a line end.
            const whole = text.endsWith('\r') ? text.length - 1 : text.length;
            const parts = (text.slice(0, whole).replace(/\r\n?/g, '\n') + text.slice(whole)).split('\n\n');
            text = parts.pop() ?? '';
            for (const part of parts) {
                const frame: Frame = { event: 'message', id: '', data: '' };
                const data: string[] = [];
                for (const line of part.split('\n')) {
                    const colon = line.indexOf(':');
                    if (colon <= 0) continue;
                    const value = line.slice(colon + 1).replace(/^ /, '');
                    const field = line.slice(0, colon);
                    if (field === 'data') data.push(value);
                    else if (field === 'event' || field === 'id') frame[field] = value;
                }
                if (data.length) yield { ...frame, data: data.join('\n') };
            }
        }
    } finally {
        await reader.cancel().catch(() => undefined);
    }
}

async function withinSilence<T>(read: Promise<T>, ms: number): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new ConnectionLost(`nothing came for ${ms} ms`)), ms);
    });
    try {
        return await Promise.race([read, silence]);
    } finally {
        clearTimeout(timer);
    }
}
