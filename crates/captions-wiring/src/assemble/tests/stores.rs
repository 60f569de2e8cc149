use captions_domain::ports::Expect;
use captions_testkit::postgres;
use rstest::rstest;

use super::*;
use crate::machine::Page;

/// Writes a user and reads it back.
async fn remembers(assembled: &Assembled, id: &str) {
    let (cx, user) = (context(assembled), build::user_full(id));
    assembled.engine.users.write(&cx, &user, Expect::Absent).await.unwrap();
    let read = assembled.engine.users.read(&cx, &user.id).await.unwrap().unwrap();
    assert_eq!(read.preferences, user.preferences);
}

#[tokio::test]
async fn with_nothing_set_a_file_in_the_data_folder_keeps_what_is_written() {
    let machine = machine();
    let first = assembled(&machine).await;
    remembers(&first, "ana").await;
    first.shutdown().await;

    assert!(machine.path("home/.local/share/captions/captions.db").is_file());
    let second = assembled(&machine).await;
    let read = second
        .engine
        .users
        .read(&context(&second), &build::user_id("ana"))
        .await
        .unwrap();
    assert!(read.is_some());
    assert!(until(&second, "store", true).await.why.is_none());
}

#[tokio::test]
async fn a_caption_is_kept_in_the_history() {
    let machine = machine();
    let assembled = assembled(&machine).await;

    let answer = generate(&assembled, "golden hour at our cafe in Lisbon").await.unwrap();

    let cx = context(&assembled);
    let record = assembled
        .engine
        .captions
        .read(&cx, answer.id.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.caption, *answer.caption);
}

#[rstest]
#[case(
    "database.url",
    "mysql://h/d",
    "`database.url`: there is nothing for the scheme `mysql`"
)]
#[case(
    "redis.url",
    "memcached://h",
    "`redis.url`: there is nothing for the scheme `memcached`"
)]
#[tokio::test]
async fn an_unknown_scheme_is_named_with_the_known_ones(#[case] key: &str, #[case] url: &str, #[case] expected: &str) {
    let error = refused(&machine().flag(key, url)).await;

    assert!(error.contains(expected) && error.contains("there is for: "), "{error}");
}

#[tokio::test]
async fn a_url_that_the_driver_refuses_does_not_give_its_password_away() {
    let error = refused(&machine().flag("database.url", "postgres://me:hush@h/d?sslmod=hush")).await;

    assert!(
        error.contains("the store cannot be used") && error.contains("sslmod"),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
}

#[rstest]
#[case("sqlite:")]
#[case("sqlite::memory:")]
#[case("sqlite:///tmp/x.db?mode=ro")]
#[tokio::test]
async fn an_sqlite_url_without_a_plain_path_is_refused(#[case] url: &str) {
    let error = refused(&machine().flag("database.url", url)).await;

    assert!(error.contains("takes the path of a file and no parameters"), "{error}");
}

#[tokio::test]
async fn an_empty_postgres_gets_its_tables() {
    let machine = machine().env("DATABASE_URL", &postgres::fresh_database().await);

    let assembled = assembled(&machine).await;

    remembers(&assembled, "ana").await;
    assert!(until(&assembled, "store", true).await.why.is_none());
    let pool = assembled.pool().unwrap();
    assert!(pool.limit > 1 && pool.opened > 0 && pool.idle > 0, "{pool:?}");
    assert_eq!((pool.in_use, pool.waiting, pool.leaked), (0, 0, 0));
    assembled.shutdown().await;
}

#[tokio::test]
async fn checked_migrations_refuse_an_empty_store_and_say_what_to_do() {
    let machine = machine().env("DATABASE_URL", &postgres::fresh_database().await);

    let error = refused(&machine.flag("database.migrate", "check")).await;

    assert!(
        error.contains("users and captions") && error.contains("CAPTIONS_DATABASE__MIGRATE=auto"),
        "{error}"
    );
}

#[tokio::test]
async fn checked_migrations_accept_a_store_that_has_them() {
    let machine = machine().env("DATABASE_URL", &postgres::fresh_database().await);
    assembled(&machine).await.shutdown().await;

    let second = assembled(&machine.flag("database.migrate", "check")).await;

    remembers(&second, "ana").await;
}

#[tokio::test]
async fn without_migrations_an_empty_store_stays_empty() {
    let machine = machine().env("DATABASE_URL", &postgres::fresh_database().await);

    let assembled = assembled(&machine.flag("database.migrate", "never")).await;

    let user = build::user_bare("ana");
    assert!(
        assembled
            .engine
            .users
            .read(&context(&assembled), &user.id)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_postgres_that_comes_later_gets_its_tables_then() {
    let mut server = postgres::Server::start();
    let url = server.new_database();
    server.kill();
    let log = Page::default();
    let _guard = log.listen();
    let assembled = assembled(&machine().env("DATABASE_URL", &url)).await;

    assert!(log.text().contains("the store cannot be reached"), "{}", log.text());

    // It writes meanwhile, and what it writes waits for the store.
    let answer = generate(&assembled, "golden hour at our cafe in Lisbon").await.unwrap();
    assert!(answer.id.is_some());
    assert_eq!(assembled.spool().unwrap().waiting, 1);
    assert!(until(&assembled, "store", false).await.why.is_some());

    server.restart();
    until(&assembled, "store", true).await;
    remembers(&assembled, "ana").await;
    assembled.shutdown().await;
}

#[tokio::test]
async fn a_pool_that_the_server_has_too_few_places_for_is_a_warning() {
    const WARNING: &str = "too few connections for two processes";
    let url = postgres::fresh_database().await;
    for (pool_size, migrate, is_warned) in [("1", "auto", false), ("1000", "auto", true), ("1000", "check", true)] {
        let machine = machine()
            .env("DATABASE_URL", &url)
            .flag("database.pool_size", pool_size)
            .flag("database.migrate", migrate);
        let log = Page::default();
        let guard = log.listen();

        let assembled = assembled(&machine).await;

        drop(guard);
        assert_eq!(log.text().contains(WARNING), is_warned, "{pool_size}: {}", log.text());
        assembled.shutdown().await;
    }
}

#[tokio::test]
async fn callers_that_wait_for_a_connection_are_counted() {
    let server = postgres::Server::start();
    let machine = machine()
        .env("DATABASE_URL", &server.new_database())
        .flag("database.pool_size", "1")
        .flag("database.connect_timeout", "60")
        .flag("database.acquire_timeout", "60")
        .flag("database.statement_timeout", "60")
        .flag("engine.deadline", "60");
    let assembled = Arc::new(assembled(&machine).await);
    let waiting = || assembled.monitor.summary().database.pool.unwrap().waiting;
    server.pause();

    let calls = ["ana", "ben", "cleo"].map(|id| {
        let assembled = Arc::clone(&assembled);
        tokio::spawn(async move {
            let cx = context(&assembled);
            assembled.engine.users.preferences(&cx, &build::user_id(id)).await
        })
    });
    let counted = async {
        while waiting() != 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, counted).await.unwrap();
    server.resume();

    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), None);
    }
    assert_eq!(waiting(), 0);
    assembled.shutdown().await;
}
