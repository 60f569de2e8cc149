use captions_http::{Limits, serve, serve_starting};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    client::{get, send_json},
    ports::Turn,
    server::{TEXT, state},
};

#[tokio::test]
async fn until_the_engine_is_there_the_server_is_alive_and_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = json!({"content_description": "a cat on a sill"});

    let (live, ready, refused) = tokio::select! {
        never = serve_starting(&listener, Limits::default()) => match never {},
        answers = async {
            (
                get(address, "/livez").await,
                get(address, "/readyz").await,
                send_json(address, "POST", "/v1/captions", &asked).await,
            )
        } => answers,
    };
    let (state, ..) = state([Turn::Say(TEXT)], Limits::default());
    let running = tokio::spawn(serve(listener, state, std::future::pending()));
    let later = get(address, "/readyz").await;
    running.abort();

    assert_eq!((live.status, ready.status, later.status), (200, 503, 200));
    assert_eq!(ready.json()["status"], "starting");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("starting")));
    assert_eq!(refused.header("retry-after"), Some("1"));
}
