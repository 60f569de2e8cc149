//! The same turns over HTTP/2 and TLS: many at once on one connection, and GOAWAY.

use std::{future::poll_fn, sync::Arc, time::Instant};

use bytes::Bytes;
use h2::{
    Reason, SendStream,
    server::{self, SendResponse},
};
use http::{Request, Response};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet, time::sleep};
use tokio_rustls::TlsAcceptor;

use super::{
    Open, Recorded, Shared, lock,
    play::{Act, Received, acts},
    turn::{Course, Turn},
};

/// Serves one connection until it ends.
pub(super) async fn converse(socket: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    let _open = Open::new(&shared);
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let Ok(socket) = tls.accept(socket).await else {
        return;
    };
    let Ok(mut connection) = server::handshake(socket).await else {
        return;
    };
    let mut calls = JoinSet::new();
    // Streams that ask for the end of the connection.
    let (go_away, mut gone) = mpsc::channel::<()>(1);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    calls.spawn(call(request, respond, Arc::clone(&shared), go_away.clone()));
                }
                Some(Err(_)) | None => break,
            },
            Some(()) = gone.recv() => connection.abrupt_shutdown(Reason::NO_ERROR),
            Some(_) = calls.join_next() => {}
        }
    }
    // Who is left has nobody to answer.
    calls.shutdown().await;
}

async fn call(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
    go_away: mpsc::Sender<()>,
) {
    let Some(received) = receive(request).await else {
        return;
    };
    let (turn, request) = shared.turn_for(received);
    // Told by a reset of the stream and by the end of the connection alike; both may come while nothing is being sent.
    let left = NotedOnDrop(Some(&request));
    let goes_away = matches!(turn.course, Course::GoesAway(_));
    if play(&mut respond, turn, &request, &go_away).await.is_some() {
        left.dismiss();
    }
    if goes_away {
        // The stream stays open: it is to end with its connection and not by a reset of its own.
        std::future::pending::<()>().await;
    }
}

/// Enters that the client left, unless it is dismissed: an aborted task cannot do so itself.
struct NotedOnDrop<'a>(Option<&'a Arc<Recorded>>);

impl NotedOnDrop<'_> {
    fn dismiss(mut self) {
        self.0 = None;
    }
}

impl Drop for NotedOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.0 {
            *lock(&request.left) = Some(Instant::now());
        }
    }
}

async fn receive(request: Request<h2::RecvStream>) -> Option<Received> {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes.ok()?;
        stream.flow_control().release_capacity(bytes.len()).ok()?;
        body.extend_from_slice(&bytes);
    }
    Some(Received {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
    })
}

/// Plays the turn. `None`: the client left before its end.
async fn play(
    respond: &mut SendResponse<Bytes>,
    turn: Turn,
    request: &Recorded,
    go_away: &mpsc::Sender<()>,
) -> Option<()> {
    if turn.course == Course::Reset {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Some(());
    }
    let mut stream = None;
    for act in acts(turn, request) {
        match act {
            Act::Head(head) => {
                let mut response = Response::builder()
                    .status(head.status)
                    .header("content-type", head.content_type);
                for (name, value) in &head.headers {
                    response = response.header(name, value);
                }
                stream = Some(respond.send_response(response.body(()).ok()?, false).ok()?);
            }
            Act::Data(bytes) => stream.as_mut()?.send_data(bytes.into(), false).ok()?,
            Act::End => stream.as_mut()?.send_data(Bytes::new(), true).ok()?,
            Act::Pause(wait) => tokio::select! {
                () = leaves(respond, &mut stream) => return None,
                () = sleep(wait) => {}
            },
            Act::Hold => {
                leaves(respond, &mut stream).await;
                return None;
            }
            Act::Close => {
                stream.as_mut()?.send_reset(Reason::INTERNAL_ERROR);
                return Some(());
            }
            Act::GoAway => {
                // Fails only if the connection is gone already.
                let _told = go_away.send(()).await;
                return Some(());
            }
        }
    }
    Some(())
}

/// Until the client gives the call up.
async fn leaves(respond: &mut SendResponse<Bytes>, stream: &mut Option<SendStream<Bytes>>) {
    // Both outcomes say so: a reset of the stream, and the end of the connection.
    let _either = poll_fn(|cx| match stream {
        Some(stream) => stream.poll_reset(cx),
        None => respond.poll_reset(cx),
    })
    .await;
}
