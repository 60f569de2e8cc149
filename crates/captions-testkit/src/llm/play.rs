//! A turn as acts, and the acts on a socket: HTTP/1.1 by hand, so that every way of failing can be played.

use std::{io, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::WriteHalf},
    time::sleep,
};

use super::{
    Recorded,
    turn::{Body, Course, Said, Turn},
};

/// What is done, one after the other, whatever the version of HTTP.
#[derive(Debug)]
pub(super) enum Act {
    Head(Head),
    /// A piece of the body.
    Data(Vec<u8>),
    Pause(Duration),
    /// Nothing more; wait for the other side to leave.
    Hold,
    /// The body is complete.
    End,
    /// Break off.
    Close,
    /// Break off by telling that the connection ends: GOAWAY, which HTTP/1.1 does not have.
    GoAway,
}

#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(String, String)>,
    /// Bytes of the body; `None`: as many as come.
    pub(super) length: Option<usize>,
}

/// What became of the socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered; the connection can take another request.
    Answered,
    /// Broken off on purpose, or the answer ends with the connection.
    Close,
    /// Reset on purpose.
    Reset,
    /// The other side left before the answer was complete.
    LeftEarly,
}

/// Plays the turn. Watches for the other side leaving at every moment of it.
pub(super) async fn play(socket: &mut TcpStream, turn: Turn, request: &Recorded) -> Outcome {
    if turn.course == Course::Reset {
        return Outcome::Reset;
    }
    let acts = acts(turn, request);
    let (mut read, mut write) = socket.split();
    let leaves = async {
        let mut byte = [0];
        if let Ok(1..) = read.peek(&mut byte).await {
            // The next request is already here: the answer was read, and nobody leaves.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        outcome = perform(&mut write, acts) => outcome,
        () = leaves => Outcome::LeftEarly,
    }
}

async fn perform(socket: &mut WriteHalf<'_>, acts: Vec<Act>) -> Outcome {
    let mut chunked = false;
    for act in acts {
        let bytes = match act {
            Act::Head(head) => {
                chunked = head.length.is_none();
                lines(&head)
            }
            Act::Data(bytes) if chunked => chunk(&bytes),
            Act::Data(bytes) => bytes,
            Act::Pause(wait) => {
                sleep(wait).await;
                continue;
            }
            Act::Hold => std::future::pending().await,
            Act::End if chunked => b"0\r\n\r\n".to_vec(),
            Act::End => continue,
            Act::Close | Act::GoAway => return Outcome::Close,
        };
        if socket.write_all(&bytes).await.is_err() {
            return Outcome::LeftEarly;
        }
    }
    Outcome::Answered
}

fn lines(head: &Head) -> Vec<u8> {
    let mut lines = vec![
        format!("HTTP/1.1 {} Scripted", head.status),
        format!("content-type: {}", head.content_type),
        match head.length {
            None => "transfer-encoding: chunked".into(),
            Some(length) => format!("content-length: {length}"),
        },
    ];
    lines.extend(head.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

/// The turn as acts. A reset is not among them: it is done to the socket itself.
pub(super) fn acts(turn: Turn, request: &Recorded) -> Vec<Act> {
    let turn = turn.for_request(request);
    let mut acts = Vec::new();
    if turn.course == Course::Silent {
        return vec![Act::Hold];
    }
    if !turn.before.is_zero() {
        acts.push(Act::Pause(turn.before));
    }
    if turn.course == Course::GoesAway(None) {
        acts.push(Act::GoAway);
        return acts;
    }
    let streamed = request.streamed() && turn.status == 200;
    let (content_type, pieces) = match &turn.body {
        Body::Said(said) if streamed => ("text/event-stream", events(said, request)),
        Body::Said(said) => (
            "application/json",
            tenths(completion(said, request).to_string().into_bytes()),
        ),
        Body::RawStream(writes) => ("text/event-stream", writes.iter().map(|bytes| bytes.to_vec()).collect()),
        // An error told with status 200 comes as an event where a stream was asked for.
        Body::Raw {
            content_type: "application/json",
            bytes,
        } if streamed => ("text/event-stream", vec![[b"data: ", &bytes[..], b"\n\n"].concat()]),
        Body::Raw { content_type, bytes } => (*content_type, tenths(bytes.to_vec())),
        Body::Echo | Body::Fitting | Body::Caption(_) | Body::Bomb => ("application/json", Vec::new()),
    };
    let open_ended = content_type == "text/event-stream";
    let length: usize = pieces.iter().map(Vec::len).sum();
    let garbage = match turn.course {
        Course::Garbled(_) if !open_ended => GARBAGE.len(),
        _ => 0,
    };

    acts.push(Act::Head(Head {
        status: turn.status,
        content_type,
        headers: turn.headers,
        length: (!open_ended).then_some(length + garbage),
    }));
    if !turn.before_body.is_zero() {
        acts.push(Act::Pause(turn.before_body));
    }

    let write = |acts: &mut Vec<Act>, piece: &[u8]| match turn.pace {
        Some((bytes, pause)) => {
            for part in piece.chunks(bytes) {
                acts.push(Act::Data(part.to_vec()));
                acts.push(Act::Pause(pause));
            }
        }
        None => acts.push(Act::Data(piece.to_vec())),
    };
    for (index, piece) in pieces.iter().enumerate() {
        match turn.course {
            Course::Cut(after) if index == after => {
                acts.push(Act::Close);
                return acts;
            }
            Course::GoesAway(Some(after)) if index == after => {
                acts.push(Act::GoAway);
                return acts;
            }
            Course::Stalls(after) if index == after => {
                acts.push(Act::Hold);
                return acts;
            }
            Course::Ends(after) if index == after => break,
            Course::Garbled(after) if index == after => write(&mut acts, GARBAGE),
            _ => {}
        }
        write(&mut acts, piece);
    }
    if !open_ended && matches!(turn.course, Course::Ends(_)) {
        // Less than the announced length can only end with the connection.
        acts.push(Act::Close);
    } else {
        acts.push(Act::End);
    }
    acts
}

const GARBAGE: &[u8] = b"data: {\"choices\":[{\"delta\":{\"cont\n\n";

fn chunk(piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() {
        return Vec::new();
    }
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

fn tenths(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.chunks(bytes.len().div_ceil(10)).map(<[u8]>::to_vec).collect()
}

const ID: &str = "chatcmpl-scripted";

fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

fn usage(said: &Said, request: &Recorded) -> Value {
    let input = tokens(&request.user_text()) + tokens(&request.system_text());
    let output = tokens(&said.text);
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

fn completion(said: &Said, request: &Recorded) -> Value {
    let mut message = json!({"role": "assistant", "content": said.text});
    if let Some(reasoning) = &said.reasoning {
        message["reasoning"] = reasoning.as_str().into();
    }
    if let Some(refusal) = &said.refusal {
        message["content"] = Value::Null;
        message["refusal"] = refusal.as_str().into();
    }
    let mut document = json!({
        "id": ID, "object": "chat.completion", "created": 1_700_000_000, "model": request.model(),
        "choices": [{"index": 0, "message": message, "finish_reason": said.finish}],
    });
    if said.usage {
        document["usage"] = usage(said, request);
    }
    document
}

fn events(said: &Said, request: &Recorded) -> Vec<Vec<u8>> {
    let event = |choices: Value, usage: Option<Value>| {
        let mut document = json!({
            "id": ID, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": request.model(),
            "choices": choices,
        });
        if let Some(usage) = usage {
            document["usage"] = usage;
        }
        format!("data: {document}\n\n").into_bytes()
    };
    let delta =
        |delta: Value, finish: Value| event(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), None);

    let mut events = Vec::new();
    if let Some(reasoning) = &said.reasoning {
        events.push(delta(json!({"role": "assistant", "reasoning": reasoning}), Value::Null));
    }
    if let Some(refusal) = &said.refusal {
        events.push(delta(json!({"refusal": refusal}), Value::Null));
    }
    for (index, word) in said.text.split_inclusive(' ').enumerate() {
        let role = if index == 0 {
            json!({"role": "assistant", "content": word})
        } else {
            json!({"content": word})
        };
        events.push(delta(role, Value::Null));
    }
    events.push(delta(json!({}), said.finish.into()));
    if said.usage && request.body["stream_options"]["include_usage"] == true {
        events.push(event(json!([]), Some(usage(said, request))));
    }
    if said.done {
        events.push(b"data: [DONE]\n\n".to_vec());
    }
    events
}

/// The head and body of a request, as text and bytes.
pub(super) struct Received {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The next request on the connection; `None` once the other side has closed it.
pub(super) async fn receive(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.lines();
    let mut start = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (
        start.next().unwrap_or_default().into(),
        start.next().unwrap_or_default().into(),
    );
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer.drain(..length).collect();
    Ok(Some(Received {
        method,
        path,
        headers,
        body,
    }))
}
