//! Captions that wait on disk while Postgres is away.

use captions_domain::{caption::Degraded, history::Extent, usage::Tab};
use captions_embedded::spool::{Snapshot, SpooledCaptions};
use captions_testkit::postgres::Server;
use tokio::task::spawn_blocking;

use super::*;
use crate::machine::Page;

/// A Postgres of the test's own, the URL of an empty database of it, and a machine that uses it.
async fn postgres() -> (Server, String, Machine) {
    let server = spawn_blocking(Server::start).await.unwrap();
    let url = server.new_database();
    let machine = machine()
        .env("DATABASE_URL", &url)
        // Whether a call is made at all is not the point here.
        .flag("database.breaker.enabled", "false");
    (server, url, machine)
}

/// Writes a caption that is to be kept, and tells its id and what went less well.
/// With no usage, so that nothing but captions waits.
async fn kept(assembled: &Assembled, about: &str) -> (Answer, Vec<Degraded>) {
    let mut cx = context(assembled);
    cx.tab = Tab::default();
    let request = CaptionRequest::new(build::description(about));
    let answer = assembled.engine.generate(&cx, &request).await.unwrap();
    (answer, cx.notes.all())
}

fn stored(server: &Server, url: &str) -> String {
    let ids = "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM captions";
    server.sql(url.rsplit('/').next().unwrap(), ids)
}

fn ids(answers: &[Answer]) -> String {
    let ids: Vec<String> = answers.iter().map(|answer| answer.id.unwrap().0.to_string()).collect();
    ids.join(" ")
}

async fn waits(machine: &Machine) -> Option<Snapshot> {
    SpooledCaptions::look(machine.path("home/.local/share/captions/spool.db"))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_postgres_does_not_take_waits_and_arrives_once() {
    let (mut server, url, machine) = postgres().await;
    let assembled = assembled(&machine).await;
    let (before, notes) = kept(&assembled, "golden hour at our cafe in Lisbon").await;
    assert_eq!(notes, []);
    server.kill();

    let mut answers = vec![before];
    for about in ["a cat asleep on the sill", "bread at six in the morning"] {
        let (answer, notes) = kept(&assembled, about).await;
        assert_eq!(notes, [Degraded::HistoryDelayed]);
        assert_eq!(answer.warnings, []);
        let cx = context(&assembled);
        let read = assembled.engine.captions.read(&cx, answer.id.unwrap()).await.unwrap();
        assert_eq!(read.unwrap().caption, *answer.caption, "it is there, on this machine");
        answers.push(answer);
    }
    let status = until(&assembled, "spool", false).await;
    assert_eq!(status.why.as_deref(), Some("2 writes wait for the store"));
    assert_eq!(assembled.spool().unwrap().waiting, 2);

    server.restart();
    until(&assembled, "spool", true).await;
    assert_eq!(stored(&server, &url), ids(&answers));
    let counts = assembled.spool().unwrap();
    assert_eq!((counts.waiting, counts.delivered, counts.lost), (0, 2, 0));
    assembled.shutdown().await;
}

#[tokio::test]
async fn captions_of_a_start_without_postgres_wait_until_it_has_its_tables() {
    let (mut server, url, machine) = postgres().await;
    server.kill();
    let assembled = assembled(&machine).await;

    let (answer, notes) = kept(&assembled, "golden hour at our cafe in Lisbon").await;
    assert_eq!(notes, [Degraded::HistoryDelayed]);

    server.restart();
    until(&assembled, "spool", true).await;
    assert_eq!(stored(&server, &url), ids(&[answer]));
    assembled.shutdown().await;
}

#[tokio::test]
async fn what_still_waits_at_the_end_is_delivered_by_the_next_start() {
    let (mut server, url, machine) = postgres().await;
    let first = assembled(&machine).await;
    server.kill();
    let (answer, _) = kept(&first, "golden hour at our cafe in Lisbon").await;
    first.shutdown().await;
    assert_eq!(waits(&machine).await.unwrap().rows, 1);
    let found = crate::doctor(&machine.loads()).await;
    let spool = found.iter().find(|check| check.name == "spool").unwrap();
    assert!(spool.ok && spool.detail.contains("1 writes wait"), "{spool:?}");

    server.restart();
    let second = assembled(&machine).await;
    until(&second, "spool", true).await;

    assert_eq!(stored(&server, &url), ids(&[answer]));
    second.shutdown().await;
}

#[tokio::test]
async fn the_end_delivers_what_the_loop_has_not() {
    let (mut server, url, machine) = postgres().await;
    let assembled = assembled(&machine).await;
    server.kill();
    let (answer, _) = kept(&assembled, "golden hour at our cafe in Lisbon").await;
    server.restart();

    assembled.shutdown().await;

    assert_eq!(stored(&server, &url), ids(&[answer]));
    assert_eq!(waits(&machine).await.unwrap().rows, 0);
}

#[tokio::test]
async fn an_erased_user_has_nothing_waiting_any_more() {
    let (mut server, url, machine) = postgres().await;
    let assembled = assembled(&machine).await;
    server.kill();
    let mut cx = context(&assembled);
    cx.tab = Tab::default();
    let mut request = CaptionRequest::new(build::description("golden hour at our cafe in Lisbon"));
    request.user = Some(build::user_id("ana"));
    let answer = assembled.engine.generate(&cx, &request).await.unwrap();
    assert!(answer.id.is_some());
    assert_eq!(assembled.spool().unwrap().waiting, 1);

    let cx = context(&assembled);
    let erased = assembled
        .engine
        .captions
        .erase(&cx, &Extent::OfUser(build::user_id("ana")))
        .await;

    // What Postgres has it still has, so the caller is told to try again; what waited is gone.
    assert!(erased.is_err());
    server.restart();
    until(&assembled, "spool", true).await;
    until(&assembled, "store", true).await;
    assembled.shutdown().await;
    assert_eq!(stored(&server, &url), "");
}

#[tokio::test]
async fn switched_off_nothing_waits() {
    let (mut server, _url, machine) = postgres().await;
    let machine = machine.flag("spool.enabled", "false");
    let assembled = assembled(&machine).await;
    server.kill();

    let (answer, notes) = kept(&assembled, "golden hour at our cafe in Lisbon").await;

    assert_eq!((answer.id, notes), (None, vec![]));
    assert_eq!(answer.warnings[0].code, "not_stored");
    assert_eq!(assembled.spool(), None);
    assembled.shutdown().await;
    assert_eq!(waits(&machine).await, None);
}

#[tokio::test]
async fn a_full_file_is_told_as_not_stored() {
    let (mut server, _url, machine) = postgres().await;
    let assembled = assembled(&machine.flag("spool.max_rows", "1")).await;
    server.kill();

    let (first, _) = kept(&assembled, "golden hour at our cafe in Lisbon").await;
    let (second, notes) = kept(&assembled, "a cat asleep on the sill").await;

    assert!(first.id.is_some());
    assert_eq!((second.id, notes), (None, vec![]));
    assert_eq!(second.warnings[0].code, "not_stored");
    assert_eq!(assembled.spool().unwrap().lost, 1);
    assembled.shutdown().await;
}

#[tokio::test]
async fn the_bytes_are_bounded_by_the_settings_too() {
    let (mut server, _url, machine) = postgres().await;
    let assembled = assembled(&machine.flag("spool.max_bytes", "65536")).await;
    server.kill();

    let mut lost = 0;
    for number in 0..100 {
        let (answer, _) = kept(&assembled, &format!("bread at six in the morning, {number}")).await;
        lost += u64::from(answer.id.is_none());
    }

    let counts = assembled.spool().unwrap();
    assert!(counts.waiting > 0 && lost > 0, "{counts:?}");
    assert!(counts.bytes <= 65_536, "{counts:?}");
    assert_eq!((counts.waiting + lost, counts.lost), (100, lost));
    assembled.shutdown().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_a_warning() {
    let (mut server, _url, machine) = postgres().await;
    let machine = machine
        .file("no folder", "")
        .flag("spool.path", "../no folder/spool.db");
    let log = Page::default();
    let _guard = log.listen();

    let assembled = assembled(&machine).await;

    assert!(log.text().contains("captions cannot wait on disk"), "{}", log.text());
    let status = until(&assembled, "spool", false).await;
    assert_eq!(status.why.as_deref(), Some("its file cannot be used"));
    let (answer, _) = kept(&assembled, "golden hour at our cafe in Lisbon").await;
    assert!(answer.id.is_some(), "Postgres has it");
    server.kill();
    let (answer, _) = kept(&assembled, "a cat asleep on the sill").await;
    assert_eq!(answer.warnings[0].code, "not_stored");
    assembled.shutdown().await;
}

#[tokio::test]
async fn a_store_that_is_a_file_needs_no_other() {
    let machine = machine();
    let assembled = assembled(&machine).await;

    assert_eq!(assembled.spool(), None);
    let parts = assembled.readiness.check().await;
    assert!(parts.iter().all(|part| part.name != "spool"), "{parts:?}");
    assembled.shutdown().await;
    assert_eq!(waits(&machine).await, None);
}
