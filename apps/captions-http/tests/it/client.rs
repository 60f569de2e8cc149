//! A small HTTP/1.1 client that sends exactly the bytes that a test wants sent.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// No answer takes longer than this in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, or its head with the body still to come.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as the problem that it must be.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.json()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        let page = format!("/errors/{}", problem["code"].as_str().unwrap());
        assert_eq!(problem["documentation"], page);
        let kind = problem["type"].as_str().unwrap();
        assert!(kind == page || kind.starts_with("https://iana.org/"), "{kind}");
        let retryable = problem["retryable"].as_bool().unwrap().to_string();
        assert_eq!(self.header("x-should-retry"), Some(&*retryable));
        let millis = problem["retry_after_ms"].as_u64();
        assert_eq!(
            self.header("retry-after-ms").map(|value| value.parse().unwrap()),
            millis
        );
        assert_eq!(
            self.header("retry-after").map(|value| value.parse().unwrap()),
            millis.map(|ms| ms.div_ceil(1000).max(1))
        );
        problem
    }

    /// Status and code of a problem.
    pub(crate) fn code(&self) -> (u16, String) {
        (self.status, self.problem()["code"].as_str().unwrap().to_owned())
    }
}

/// An open connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes as they are. `false` if the other side is gone.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap().is_ok()
    }

    /// Sends a request without a body.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
            .await;
        self.reply().await
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> Reply {
        let status_line = self.line().await;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return Reply {
                    status,
                    headers,
                    body: Vec::new(),
                };
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads a whole answer.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                reply.body.extend(chunk);
            }
        } else if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            timeout(PATIENCE, self.stream.read_exact(&mut reply.body))
                .await
                .unwrap()
                .unwrap();
        }
        reply
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await, 16).expect("a chunk's length");
        let mut chunk = vec![0; length + 2];
        timeout(PATIENCE, self.stream.read_exact(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset closes as well.
        drop(
            timeout(PATIENCE, self.stream.read_to_end(&mut rest))
                .await
                .expect("the connection stays open"),
        );
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.stream.read_line(&mut line))
            .await
            .expect("no answer")
            .unwrap();
        assert!(line.ends_with('\n'), "the connection closed after {line:?}");
        line.trim_end().to_owned()
    }
}

/// Sends one request over a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut head = vec![
        format!("{method} {path} HTTP/1.1"),
        "host: test".into(),
        "connection: close".into(),
    ];
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head.push(format!("content-length: {}", body.len()));
    }
    let head = head.join("\r\n") + "\r\n\r\n";
    let mut connection = Connection::open(address).await;
    connection.write(&[head.as_bytes(), body].concat()).await;
    connection.reply().await
}

/// Sends JSON.
pub(crate) async fn send_json(address: SocketAddr, method: &str, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    send(address, method, path, &headers, body.to_string().as_bytes()).await
}

/// Reads.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, "GET", path, &[], b"").await
}
