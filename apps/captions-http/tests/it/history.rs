//! Stored captions: found, picked from, exported, erased.

use captions_domain::fault::FaultKind;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::{Reply, get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

/// A server with captions about cats, number 0 to `count` - 1, those with even numbers for Ana, the others for Ben.
async fn with_cats(count: usize) -> Server {
    let server = Server::start([Turn::Say(TEXT)]).await;
    for number in 0..count {
        let user = ["ana", "ben"][number % 2];
        let platform = ["instagram", "x"][number / 2 % 2];
        let body =
            json!({"content_description": format!("cat number {number}"), "user_id": user, "platform": platform});
        let written = send_json(server.address, "POST", "/v1/captions", &body).await;
        assert_eq!(written.status, 201, "{}", written.json());
    }
    server
}

fn numbers(page: &Value) -> Vec<&str> {
    let all = page["data"].as_array().unwrap().iter();
    all.map(|one| one["content_description"].as_str().unwrap().rsplit(' ').next().unwrap())
        .collect()
}

async fn newest(server: &Server) -> Value {
    get(server.address, "/v1/captions?limit=1").await.json()["data"][0].clone()
}

async fn change(server: &Server, id: &Value, tag: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec![("content-type", "application/merge-patch+json")];
    headers.extend(tag.map(|tag| ("if-match", tag)));
    let path = format!("/v1/captions/{}", id.as_str().unwrap());
    send(server.address, "PATCH", &path, &headers, body.to_string().as_bytes()).await
}

#[rstest]
#[case::all("", &["7", "6", "5", "4", "3", "2", "1", "0"])]
#[case::of_a_user("user_id=ana", &["6", "4", "2", "0"])]
#[case::for_a_platform("platform=x", &["7", "6", "3", "2"])]
#[case::of_both("platform=x&user_id=ben", &["7", "3"])]
#[case::with_a_text("q=CAT%20number%205", &["5"])]
#[case::in_a_language("language=de", &[])]
#[case::by_nobody("provider=nobody", &[])]
#[case::from_then_on("since=2199-01-01T00:00:00Z", &[])]
#[case::before_then("until=2199-01-01T00:00:00%2B01:00", &["7", "6", "5", "4", "3", "2", "1", "0"])]
#[case::too_good("min_score=100", &[])]
#[tokio::test]
async fn captions_are_narrowed_down(#[case] query: &str, #[case] expected: &[&str]) {
    let server = with_cats(8).await;

    let page = get(server.address, &format!("/v1/captions?{query}")).await;

    assert_eq!((page.status, numbers(&page.json())), (200, expected.to_vec()));
}

#[tokio::test]
async fn a_list_is_followed_by_its_links_and_cursors() {
    let server = with_cats(7).await;
    for (start, expected) in [
        ("/v1/captions?limit=2&user_id=ana&q=cat%20n", vec!["6", "4", "2", "0"]),
        ("/v1/users/ben/captions?limit=1&platform=instagram", vec!["5", "1"]),
    ] {
        let (mut address, mut seen) = (start.to_owned(), Vec::new());
        loop {
            let page = get(server.address, &address).await;
            let document = page.json();
            seen.extend(numbers(&document).into_iter().map(str::to_owned));
            assert_eq!(document["has_more"], page.header("link").is_some());
            let Some(link) = page.header("link") else {
                assert_eq!(document["next_cursor"], Value::Null);
                break;
            };
            let cursor = document["next_cursor"].as_str().unwrap();
            let (next, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
            assert!(next.contains(cursor) && rest == "; rel=\"next\"", "{link}");
            next.clone_into(&mut address);
        }

        assert_eq!(seen, expected, "{start}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filters() {
    let server = with_cats(5).await;
    let page = get(server.address, "/v1/captions?limit=2&user_id=ana").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();

    for other in [
        format!("/v1/captions?cursor={cursor}"),
        format!("/v1/captions?user_id=ben&cursor={cursor}"),
        format!("/v1/captions?user_id=ana&q=cat&cursor={cursor}"),
        format!("/v1/users/ben/captions?cursor={cursor}"),
        "/v1/captions?cursor=c1".to_owned(),
        "/v1/captions?cursor=".to_owned(),
    ] {
        assert_eq!(
            get(server.address, &other).await.code(),
            (400, "cursor_invalid".into()),
            "{other}"
        );
    }
    // The same list under its other address.
    let same = get(server.address, &format!("/v1/users/ana/captions?cursor={cursor}")).await;
    assert_eq!((same.status, numbers(&same.json())), (200, vec!["0"]));
}

#[rstest]
#[case("/v1/captions?limit=101")]
#[case("/v1/captions?since=yesterday")]
#[case("/v1/captions?language=xx-yy-zz")]
#[case("/v1/captions?min_score=101")]
#[case("/v1/captions?sort=score")]
#[case("/v1/captions?q=")]
#[case("/v1/captions?q=a&q=b")]
#[case("/v1/users/ana/captions?user_id=ben")]
#[case("/v1/captions/export?limit=3")]
#[case("/v1/captions/export?format=xml")]
#[tokio::test]
async fn parameters_that_cannot_be_read_are_told(#[case] address: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = get(server.address, address).await;

    assert_eq!(reply.code(), (400, "invalid_parameter".into()));
}

#[tokio::test]
async fn a_caption_that_is_known_is_not_sent_again_until_it_changes() {
    let server = with_cats(1).await;
    let id = newest(&server).await["id"].clone();
    let path = format!("/v1/captions/{}", id.as_str().unwrap());
    let first = get(server.address, &path).await;
    let tag = first.header("etag").unwrap().to_owned();
    let ask = |tag: String| {
        let (address, path) = (server.address, path.clone());
        async move { send(address, "GET", &path, &[("if-none-match", &tag)], b"").await }
    };

    let known = ask(tag.clone()).await;
    let feedback = json!({"verdict": "used"});
    send_json(server.address, "PUT", &format!("{path}/feedback"), &feedback).await;
    let changed = ask(tag.clone()).await;

    assert_eq!(
        (known.status, known.header("etag"), known.body.len()),
        (304, Some(&*tag), 0)
    );
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(&*tag));
}

#[tokio::test]
async fn a_variant_is_picked_and_given_up_by_whoever_knows_the_caption() {
    let server = with_cats(1).await;
    let before = newest(&server).await;
    let id = &before["id"];
    let path = format!("/v1/captions/{}", id.as_str().unwrap());
    let tag = get(server.address, &path).await.header("etag").unwrap().to_owned();
    let pick = json!({"selected_variant": 0});

    assert_eq!(
        change(&server, id, None, &pick).await.code(),
        (428, "precondition_required".into())
    );
    assert_eq!(
        change(&server, id, Some("\"x\""), &pick).await.code(),
        (412, "version_mismatch".into())
    );
    let picked = change(&server, id, Some(&tag), &pick).await;
    assert_eq!((picked.status, &picked.json()["selected_variant"]), (200, &json!(0)));
    assert_eq!(picked.json()["text"], before["text"]);
    // Of two who have read the same, the second is told.
    assert_eq!(
        change(&server, id, Some(&tag), &pick).await.code(),
        (412, "version_mismatch".into())
    );

    let read = get(server.address, &path).await;
    assert_eq!(
        (read.json(), read.header("etag")),
        (picked.json(), picked.header("etag"))
    );
    let none = json!({"selected_variant": null});
    let given_up = change(&server, id, picked.header("etag"), &none).await;
    assert_eq!((given_up.status, given_up.json().get("selected_variant")), (200, None));
    assert_eq!(change(&server, id, Some("*"), &pick).await.status, 200);
}

#[rstest]
#[case(json!({}), "/selected_variant")]
#[case(json!({"selected_variant": 1}), "/selected_variant")]
#[case(json!({"selected_variant": "0"}), "/selected_variant")]
#[case(json!({"selected_variant": 0, "caption": "mine"}), "/caption")]
#[tokio::test]
async fn nothing_but_a_variant_that_there_is_can_be_picked(#[case] body: Value, #[case] pointer: &str) {
    let server = with_cats(1).await;
    let id = newest(&server).await["id"].clone();

    let refused = change(&server, &id, Some("*"), &body).await;

    assert_eq!(refused.code(), (422, "invalid_request".into()));
    assert_eq!(refused.problem()["errors"][0]["pointer"], pointer);
}

#[tokio::test]
async fn an_erased_caption_is_gone_and_may_be_erased_again() {
    let server = with_cats(2).await;
    let id = newest(&server).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/captions/{id}");

    let refused = send(server.address, "DELETE", &path, &[("if-match", "\"x\"")], b"").await;
    assert_eq!(refused.code(), (412, "version_mismatch".into()));
    for _ in 0..2 {
        let erased = send(server.address, "DELETE", &path, &[], b"").await;
        assert_eq!((erased.status, erased.body.len()), (204, 0));
    }

    assert_eq!(
        get(server.address, &path).await.code(),
        (404, "caption_not_found".into())
    );
    assert_eq!(numbers(&get(server.address, "/v1/captions").await.json()), ["0"]);
    assert_eq!(
        change(&server, &json!(id), Some("*"), &json!({"selected_variant": 0}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn all_captions_are_exported_as_json_lines_or_csv() {
    // More than are read at a time.
    let server = with_cats(230).await;
    let path = "/v1/captions/export";
    let accept = async |kind: &str| send(server.address, "GET", path, &[("accept", kind)], b"").await;

    let lines = get(server.address, "/v1/captions/export?user_id=ana").await;
    let csv = accept("text/csv").await;

    assert_eq!(
        (lines.status, lines.header("content-type")),
        (200, Some("application/jsonl"))
    );
    let text = String::from_utf8(lines.body).unwrap();
    let documents: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 115);
    assert!(documents.iter().all(|one| one["user_id"] == "ana"));
    let first = format!("/v1/captions/{}", documents[0]["id"].as_str().unwrap());
    assert_eq!(documents[0], get(server.address, &first).await.json());
    assert_eq!(
        csv.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert_eq!(
        csv.header("content-disposition"),
        Some("attachment; filename=\"captions.csv\"")
    );
    let csv = String::from_utf8(csv.body).unwrap();
    assert_eq!(
        (
            csv.matches("cat number").count(),
            csv.starts_with("id,created_at,user_id,")
        ),
        (230, true)
    );
    for kind in ["*/*", "application/jsonl, text/csv", "application/json"] {
        assert_eq!(
            accept(kind).await.header("content-type"),
            Some("application/jsonl"),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn an_export_from_a_store_that_is_away_is_a_problem() {
    let server = with_cats(1).await;
    server.store.breaks(Some(FaultKind::Unavailable));

    let reply = get(server.address, "/v1/captions/export").await;

    assert_eq!(reply.code(), (503, "store_unavailable".into()));
}
