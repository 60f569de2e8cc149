//! The webhook against real receivers on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use captions_domain::fault::{Fault, FaultKind};
use captions_testkit::receiver::{Received, Receiver};
use captions_webhook::{Courier, Webhook, WebhookOptions};
use ring::hmac;
use rstest::rstest;
use time::OffsetDateTime;

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const EVENT: &[u8] = br#"{"type":"test.event","data":{}}"#;

/// The time of day belongs to whoever sends.
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Everything that a real receiver on this machine needs.
fn allowed(url: &str) -> WebhookOptions {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let secrets = KEYS.map(|key| format!("whsec_{}", BASE64_STANDARD.encode(key)).into());
    WebhookOptions {
        allow_private: true,
        allow_http: true,
        ..WebhookOptions::new(url, secrets.into())
    }
}

/// By another implementation than the crate's own.
fn is_signed(got: &Received, key: &[u8]) -> bool {
    let header = |name: &str| got.headers[name].as_str();
    let signed = [
        header("webhook-id").as_bytes(),
        b".",
        header("webhook-timestamp").as_bytes(),
        b".",
        &got.body,
    ]
    .concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    header("webhook-signature").split(' ').any(|signature| {
        let code = signature.strip_prefix("v1,").unwrap();
        hmac::verify(&key, &signed, &BASE64_STANDARD.decode(code).unwrap()).is_ok()
    })
}

#[tokio::test]
async fn an_event_arrives_whole_and_signed_with_every_secret() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let webhook = Webhook::new(allowed(&receiver.url("/hook?a=b"))).unwrap();

    let at = now();
    webhook.send("evt_1", at, EVENT).await.unwrap();

    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let got = &requests[0];
    assert_eq!(got.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers["webhook-id"], "evt_1");
    assert_eq!(got.headers["webhook-timestamp"], at.unix_timestamp().to_string());
    assert_eq!(got.body, EVENT);
    assert!(is_signed(got, &KEYS[0]) && is_signed(got, &KEYS[1]));
    assert!(!is_signed(got, &[3; 32]));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        target.url("/")
    );
    let receiver = Receiver::answering(&answer).await;
    let webhook = Webhook::new(allowed(&receiver.url("/"))).unwrap();

    let fault = webhook.send("evt_1", now(), EVENT).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal);
    assert_eq!((receiver.requests().len(), target.connections()), (1, 0));
}

#[rstest]
#[case::v4("http://127.0.0.1:PORT/")]
#[case::v4_as_a_number("http://2130706433:PORT/")]
#[case::v4_in_hex("http://0x7f.1:PORT/")]
#[case::v6("http://[::1]:PORT/")]
#[case::mapped("http://[::ffff:127.0.0.1]:PORT/")]
#[case::unspecified("http://0.0.0.0:PORT/")]
#[case::metadata("http://169.254.169.254/latest")]
#[tokio::test]
async fn an_address_that_is_not_public_is_refused_before_anything_is_sent(#[case] url: &str) {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let options = WebhookOptions {
        allow_private: false,
        ..allowed(&url.replace("PORT", &receiver.port().to_string()))
    };

    let fault = Webhook::new(options).err().unwrap();

    assert_eq!(fault.kind, FaultKind::Internal);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let url = format!("http://localhost:{}/", receiver.port());
    let refused = Webhook::new(WebhookOptions {
        allow_private: false,
        ..allowed(&url)
    })
    .unwrap();

    let fault = refused.send("evt_1", now(), EVENT).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal, "not worth another try: {fault:?}");
    assert_eq!(receiver.connections(), 0);
    // The same name, where it is allowed.
    Webhook::new(allowed(&url))
        .unwrap()
        .send("evt_1", now(), EVENT)
        .await
        .unwrap();
    assert_eq!(receiver.requests().len(), 1);
}

#[rstest]
#[case::never_answers("")]
#[case::stops_within_the_head("HTTP/1.1 200 OK\r\nX-Slow: ")]
#[tokio::test]
async fn a_slow_receiver_times_out(#[case] answer: &str) {
    let receiver = Receiver::stalling_after(answer).await;
    let webhook = Webhook::new(WebhookOptions {
        timeout: Duration::from_millis(200),
        ..allowed(&receiver.url("/"))
    })
    .unwrap();

    let sent = tokio::time::timeout(Duration::from_secs(10), webhook.send("evt_1", now(), EVENT)).await;

    assert_eq!(sent.unwrap().unwrap_err().kind, FaultKind::Timeout);
}

#[tokio::test]
async fn what_the_receiver_says_is_not_read() {
    // The body never ends, and nobody waits for it.
    let receiver = Receiver::stalling_after("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx").await;
    let webhook = Webhook::new(allowed(&receiver.url("/"))).unwrap();

    let sent = tokio::time::timeout(Duration::from_secs(5), webhook.send("evt_1", now(), EVENT)).await;

    assert!(sent.unwrap().is_ok());
}

#[rstest]
#[case::server_error("500 Oops", FaultKind::Unavailable)]
#[case::gone("410 Gone", FaultKind::Internal)]
#[case::wrong("400 Bad Request", FaultKind::Internal)]
#[case::too_many("429 Slow\r\nRetry-After: 7", FaultKind::RateLimited { retry_after: Some(Duration::from_secs(7)) })]
#[case::timed_out("408 Timeout", FaultKind::Timeout)]
#[tokio::test]
async fn a_status_becomes_the_fault_that_it_means(#[case] status: &str, #[case] kind: FaultKind) {
    let receiver = Receiver::answering(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
    let webhook = Webhook::new(allowed(&receiver.url("/"))).unwrap();

    let fault = webhook.send("evt_1", now(), EVENT).await.unwrap_err();

    assert_eq!(fault.kind, kind);
    assert_eq!(receiver.requests().len(), 1, "it is not tried again here");
}

#[tokio::test]
async fn a_receiver_that_is_away_is_a_transient_fault_that_does_not_name_the_url() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let webhook = Webhook::new(allowed(&format!("http://{closed}/services/T0KEN"))).unwrap();

    let fault = webhook.send("evt_1", now(), EVENT).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Unavailable);
    let mut told = format!("{fault:?}");
    let mut source = std::error::Error::source(&fault);
    while let Some(deeper) = source {
        told.push_str(&deeper.to_string());
        source = deeper.source();
    }
    assert!(!told.contains("T0KEN") && !told.contains(&closed.to_string()), "{told}");
    assert!(!format!("{webhook:?}").contains("T0KEN"));
}

#[rstest]
#[case::empty_id("", EVENT)]
#[case::dotted_id("a.b", EVENT)]
#[case::id_with_a_line_break("a\r\nb", EVENT)]
#[case::too_large("evt_1", &[b' '; 300])]
#[tokio::test]
async fn an_event_that_cannot_be_sent_is_not(#[case] id: &str, #[case] event: &[u8]) {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let webhook = Webhook::new(WebhookOptions {
        max_body_bytes: 256,
        ..allowed(&receiver.url("/"))
    })
    .unwrap();

    let fault = webhook.send(id, now(), event).await.unwrap_err();

    assert_eq!((fault.kind, receiver.connections()), (FaultKind::Internal, 0));
}

#[rstest]
#[case::plain_http("http://example.com/", "http://")]
#[case::another_scheme("ftp://example.com/", "https://")]
#[case::no_url("example.com", "no URL")]
#[case::user_and_password("https://ana:secret@example.com/", "user or a password")]
#[test]
fn a_url_that_may_not_be_is_refused_at_the_start(#[case] url: &str, #[case] why: &str) {
    let fault = Webhook::new(WebhookOptions {
        allow_private: false,
        allow_http: false,
        ..allowed(url)
    })
    .err()
    .unwrap();

    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(told(&fault).contains(why), "{fault:?}");
    assert!(!told(&fault).contains("secret"));
}

#[test]
fn a_webhook_without_a_secret_or_with_a_broken_one_is_refused() {
    for secrets in [Vec::new(), vec!["whsec_short".into()]] {
        let options = WebhookOptions {
            secrets,
            ..allowed("https://example.com/")
        };

        assert_eq!(Webhook::new(options).err().unwrap().kind, FaultKind::Internal);
    }
}

/// One courier for receivers that callers choose.
#[tokio::test]
async fn a_courier_serves_many_receivers_by_its_own_rules() {
    let receivers = [
        Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await,
        Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await,
    ];
    let allowed = allowed("");
    let secrets = allowed.secrets.clone();
    let courier = Courier::new(allowed).unwrap();

    for receiver in &receivers {
        let webhook = courier.to(&receiver.url("/hook").into(), &secrets[..1]).unwrap();
        webhook.send("evt_1", now(), EVENT).await.unwrap();
    }

    for receiver in &receivers {
        let got = &receiver.requests()[0];
        assert!(is_signed(got, &KEYS[0]) && !is_signed(got, &KEYS[1]));
    }
    assert!(
        courier.to(&receivers[0].url("/").into(), &[]).is_err(),
        "nothing goes out unsigned"
    );
}

#[rstest]
#[case::plain_http("http://example.com/")]
#[case::loopback("https://127.0.0.1/")]
#[case::loopback_as_a_number("https://2130706433/")]
#[case::mapped("https://[::ffff:10.0.0.1]/")]
#[case::unique_local("https://[fd00::1]/")]
#[case::metadata("https://169.254.169.254/latest/meta-data")]
#[case::user_and_password("https://ana:secret@example.com/")]
#[case::a_file("file:///etc/passwd")]
#[case::no_url("example.com")]
#[tokio::test]
async fn a_courier_takes_nothing_to_where_it_may_not_go(#[case] url: &str) {
    let secrets = allowed("").secrets;
    let courier = Courier::new(WebhookOptions::new("", Vec::new())).unwrap();

    let why = courier.check(&url.into()).unwrap_err();

    assert!(!why.contains("secret") && !why.contains("/etc"), "{why}");
    assert_eq!(
        courier.to(&url.into(), &secrets).err().unwrap().kind,
        FaultKind::Internal
    );
    assert!(courier.check(&"https://hooks.example.com/x?key=1".into()).is_ok());
}

#[tokio::test]
async fn a_courier_connects_to_no_name_that_leads_inside_and_follows_no_redirect() {
    let inside = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let rules = allowed("");
    let secrets = rules.secrets.clone();
    let public_only = Courier::new(WebhookOptions {
        allow_private: false,
        ..rules.clone()
    })
    .unwrap();
    let by_name = format!("http://localhost:{}/", inside.port());

    let fault = public_only
        .to(&by_name.into(), &secrets)
        .unwrap()
        .send("evt_1", now(), EVENT)
        .await;

    assert_eq!(fault.unwrap_err().kind, FaultKind::Internal);
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        inside.url("/")
    );
    let redirecting = Receiver::answering(&answer).await;
    let webhook = Courier::new(rules)
        .unwrap()
        .to(&redirecting.url("/").into(), &secrets)
        .unwrap();
    assert_eq!(
        webhook.send("evt_2", now(), EVENT).await.unwrap_err().kind,
        FaultKind::Internal
    );
    assert_eq!((redirecting.requests().len(), inside.connections()), (1, 0));
}

fn told(fault: &Fault) -> String {
    format!("{fault:?}")
}
