use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Instant};

use captions_domain::{
    history::{Extent, Filter},
    keys::By,
    ports::{CaptionStore, Expect, KeyStore, UsageStore, UserStore},
};
use captions_testkit::{build, contract};
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Limits that no healthy call of a test meets, even on a busy machine.
fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions {
        path: folder.path().join("inner/captions.db"),
        pool_size: 4,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
    }
}

async fn store(folder: &TempDir) -> Arc<SqliteStore> {
    let store = SqliteStore::new(options(folder)).unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

async fn raw(path: &Path) -> sqlx::SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn look_up(store: &SqliteStore) -> Result<(), StoreError> {
    UserStore::read(store, &build::context(), &build::user_id("nobody"))
        .await
        .map(|user| assert_eq!(user, None))
}

async fn create(store: &SqliteStore) -> Result<u64, StoreError> {
    store
        .write(&build::context(), &build::user_full("ann"), Expect::Absent)
        .await
}

#[track_caller]
fn kind<T>(result: Result<T, StoreError>) -> FaultKind {
    match result {
        Err(StoreError::Fault(fault)) => fault.kind,
        Err(refused) => panic!("no fault but {refused}"),
        Ok(_) => panic!("no fault but success"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_keep_the_contract() {
    contract::users::suite(store(&folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captions_keep_the_contract() {
    contract::captions::suite(store(&folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_the_contract() {
    let folder = folder();
    let store = store(&folder).await;

    contract::batches::what_is_kept_of_an_erased_user_goes_with_their_captions(&*store, &*store).await;
    contract::batches::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_the_contract() {
    contract::keys::suite(store(&folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_keep_the_contract() {
    contract::budgets::suite(store(&folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_keeps_the_contract() {
    contract::usage::suite(store(&folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keep_the_contract_on_one_connection_in_memory() {
    let store = Arc::new(SqliteStore::in_memory());
    store.migrate().await.unwrap();

    contract::users::suite(Arc::<SqliteStore>::clone(&store)).await;
    contract::batches::suite(Arc::<SqliteStore>::clone(&store)).await;
    contract::captions::suite(Arc::<SqliteStore>::clone(&store)).await;
    contract::keys::suite(store).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn calls_with_a_key_go_every_way_as_the_rules_say(moves in vec(any::<[u8; 4]>(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::in_memory();
            store.migrate().await.unwrap();
            contract::once::every_walk_is_as_in_memory(&store, &moves).await;
        });
    }
}

#[tokio::test]
async fn what_was_written_is_there_when_the_file_is_opened_again() {
    let folder = folder();
    let cx = build::context();
    let (user, record) = (build::user_full("ann"), build::record_full(&build::user_id("ann")));
    let before = store(&folder).await;
    before.write(&cx, &user, Expect::Absent).await.unwrap();
    before.append(&cx, &record).await.unwrap();
    before.close().await;

    let after = store(&folder).await;

    assert_eq!(UserStore::read(&*after, &cx, &user.id).await.unwrap(), Some(user));
    assert_eq!(CaptionStore::read(&*after, &cx, record.id).await.unwrap(), Some(record));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_write_at_once() {
    let folder = folder();
    let cx = build::context();
    let ann = build::user_id("ann");
    let writers: Vec<_> = [store(&folder).await, store(&folder).await]
        .into_iter()
        .flat_map(|store| (0..4).map(move |_| Arc::clone(&store)))
        .map(|store| {
            let (cx, ann) = (cx.clone(), ann.clone());
            tokio::spawn(async move {
                for _ in 0..25 {
                    store.append(&cx, &build::record(&ann)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }

    let all = store(&folder)
        .await
        .history(&cx, &Filter::of_user(&ann), None, u32::MAX)
        .await
        .unwrap();

    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn the_file_has_a_write_ahead_log_and_is_for_its_owner_alone() {
    let folder = folder();
    let store = store(&folder).await;
    create(&store).await.unwrap();
    let path = options(&folder).path;

    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut raw(&path).await)
        .await
        .unwrap();
    let permissions = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;

    assert_eq!(mode, "wal");
    assert_eq!(permissions(path.parent().unwrap()), 0o700);
    assert_eq!(permissions(&path), 0o600);
    assert_eq!(permissions(&path.with_extension("db-wal")), 0o600);
}

#[tokio::test]
async fn connections_have_their_settings() {
    let folder = folder();
    let store = store(&folder).await;
    for pool in [&store.readers, &store.writer] {
        let ask = async |pragma: &'static str| sqlx::query_scalar::<_, i64>(pragma).fetch_one(pool).await.unwrap();

        assert_eq!(ask("PRAGMA foreign_keys").await, 1);
        assert_eq!(ask("PRAGMA synchronous").await, 1, "1 is NORMAL");
        assert_eq!(ask("PRAGMA busy_timeout").await, 20_000);
    }
}

#[tokio::test]
async fn migrations_are_pending_until_they_are_applied() {
    let folder = folder();
    let store = SqliteStore::new(options(&folder)).unwrap();

    assert_eq!(store.pending_migrations().await.unwrap(), migrations::all());
    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    assert!(!options(&folder).path.exists(), "asking must not make the file");
    store.migrate().await.unwrap();

    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    look_up(&store).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn an_empty_file_is_brought_up_to_date() {
    let folder = folder();
    let options = options(&folder);
    std::fs::create_dir(options.path.parent().unwrap()).unwrap();
    std::fs::write(&options.path, "").unwrap();
    let store = SqliteStore::new(options).unwrap();

    assert_eq!(store.pending_migrations().await.unwrap(), migrations::all());
    store.migrate().await.unwrap();

    create(&store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_may_migrate_at_once_and_again() {
    let folder = folder();
    for _ in 0..2 {
        let stores: Vec<_> = (0..8)
            .map(|_| {
                let store = SqliteStore::new(options(&folder)).unwrap();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for store in stores {
            store.await.unwrap().unwrap();
        }
    }

    create(&*store(&folder).await).await.unwrap();
}

#[tokio::test]
async fn a_step_that_was_changed_afterwards_is_refused_and_a_newer_one_accepted() {
    let folder = folder();
    let store = store(&folder).await;
    let mut raw = raw(&options(&folder).path).await;
    let newer = "INSERT INTO _sqlx_migrations SELECT 9999, 'newer', installed_on, 1, 'x', 0 FROM _sqlx_migrations WHERE version = 1";
    sqlx::raw_sql(newer).execute(&mut raw).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());

    sqlx::raw_sql("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(&mut raw)
        .await
        .unwrap();

    assert_eq!(store.migrate().await.unwrap_err().kind, FaultKind::Internal);
    assert_eq!(store.pending_migrations().await.unwrap_err().kind, FaultKind::Internal);
}

#[tokio::test]
async fn a_write_to_a_file_that_is_held_gives_up_in_time_and_reads_go_on() {
    let folder = folder();
    store(&folder).await.close().await;
    let impatient = SqliteStore::new(SqliteOptions {
        statement_timeout: Duration::from_millis(200),
        ..options(&folder)
    })
    .unwrap();
    let mut holder = raw(&options(&folder).path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();

    let begun = Instant::now();
    let refused = create(&impatient).await;

    assert_eq!(kind(refused), FaultKind::Timeout);
    assert!(begun.elapsed() >= Duration::from_millis(190));
    look_up(&impatient).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    create(&impatient).await.unwrap();
}

#[tokio::test]
async fn a_call_that_finds_no_free_connection_is_refused_as_overload() {
    let folder = folder();
    store(&folder).await.close().await;
    let store = SqliteStore::new(SqliteOptions {
        pool_size: 1,
        acquire_timeout: Duration::from_millis(100),
        ..options(&folder)
    })
    .unwrap();
    let only = store.readers.acquire().await.unwrap();

    assert_eq!(kind(look_up(&store).await), FaultKind::Overloaded);
    assert_eq!(kind(create(&store).await), FaultKind::Overloaded);
    drop(only);

    create(&store).await.unwrap();
    look_up(&store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_share_the_connections_that_are_allowed() {
    let folder = folder();
    let store = store(&folder).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                create(&store).await.unwrap();
                look_up(&store).await.unwrap();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    assert_eq!(store.pool_size(), 4);
    assert!(store.readers.size() <= 3 && store.writer.size() == 1);
}

#[tokio::test]
async fn a_full_disk_is_a_fault_of_the_machine_and_reads_go_on() {
    let folder = folder();
    store(&folder).await.close().await;
    // The least that SQLite accepts is the size that the file has.
    let full = SqliteStore::with(options(&folder), |connect| connect.pragma("max_page_count", "1")).unwrap();

    let cx = build::context();
    let mut written = Ok(());
    for _ in 0..100 {
        written = full.append(&cx, &build::record_full(&build::user_id("ann"))).await;
        if written.is_err() {
            break;
        }
    }

    assert_eq!(kind(written), FaultKind::Unavailable);
    look_up(&full).await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_can_be_read_and_refuses_writes_for_good() {
    let folder = folder();
    store(&folder).await.close().await;
    let read_only = SqliteStore::with(options(&folder), |connect| connect.read_only(true)).unwrap();

    look_up(&read_only).await.unwrap();
    assert_eq!(kind(create(&read_only).await), FaultKind::Internal);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = folder();
    let options = options(&folder);
    std::fs::create_dir(options.path.parent().unwrap()).unwrap();
    std::fs::write(&options.path, "a".repeat(5_000)).unwrap();
    let store = SqliteStore::new(options).unwrap();

    assert_eq!(store.migrate().await.unwrap_err().kind, FaultKind::Corrupt);
    assert_eq!(kind(look_up(&store).await), FaultKind::Corrupt);
    assert_eq!(store.ping().await.unwrap_err().kind, FaultKind::Corrupt);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_corrupt() {
    let folder = folder();
    let store = store(&folder).await;
    let cx = build::context();
    store
        .write(&cx, &build::user_full("ann"), Expect::Absent)
        .await
        .unwrap();
    let spoil = "UPDATE users SET preferences = '{\"tone\": \"loud\"}'";
    sqlx::raw_sql(spoil)
        .execute(&mut raw(&options(&folder).path).await)
        .await
        .unwrap();

    assert_eq!(
        kind(store.preferences(&cx, &build::user_id("ann")).await),
        FaultKind::Corrupt
    );
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("inner"), "a file, not a folder").unwrap();
    let store = SqliteStore::new(options(&folder)).unwrap();

    let fault = store.migrate().await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(format!("{fault:?}").contains("inner"), "{fault:?}");
}

#[tokio::test]
async fn a_closed_store_takes_no_calls_and_leaves_one_file() {
    let folder = folder();
    let store = store(&folder).await;
    create(&store).await.unwrap();

    store.close().await;

    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    assert_eq!(kind(create(&store).await), FaultKind::Unavailable);
    assert_eq!(
        std::fs::read_dir(options(&folder).path.parent().unwrap())
            .unwrap()
            .count(),
        1
    );
    store.close().await;
}

#[test]
fn a_store_needs_no_file_and_no_runtime_to_begin() {
    let store = SqliteStore::new(options(&folder())).unwrap();

    assert_eq!((store.pool_size(), store.idle()), (4, 0));
}

#[test]
fn a_pool_of_nothing_is_refused() {
    let options = SqliteOptions {
        pool_size: 0,
        ..options(&folder())
    };

    assert_eq!(SqliteStore::new(options).err().unwrap().kind, FaultKind::Internal);
}

/// By their age and along an index: as many are cleared away with each erasure as make the table stop growing.
#[tokio::test]
async fn marks_that_nothing_can_be_older_than_go_by_and_by() {
    use sqlx::Row as _;

    let folder = folder();
    let store = store(&folder).await;
    let (cx, extent) = (build::context(), Extent::OfUser(build::user_id("ann")));
    let mut file = raw(&options(&folder).path).await;
    sqlx::raw_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130) \
         INSERT INTO erasures SELECT 'of old', randomblob(32), 7, (unixepoch() - 91 * 86400) * 1000000 FROM n; \
         INSERT INTO erasures SELECT 'of late', randomblob(32), 7, (unixepoch() - 89 * 86400) * 1000000",
    )
    .execute(&mut file)
    .await
    .unwrap();
    let mut left = Vec::new();

    for _ in 0..2 {
        CaptionStore::erase(&*store, &cx, &extent).await.unwrap();
        let counted = "SELECT count(*) FILTER (WHERE tenant = 'of old'), count(*) FROM erasures";
        let row = sqlx::query(counted).fetch_one(&mut file).await.unwrap();
        left.push((row.get::<i64, _>(0), row.get::<i64, _>(1)));
    }

    assert_eq!(left, [(30, 32), (0, 2)], "the late one and this one stay");
    let plan = "EXPLAIN QUERY PLAN SELECT rowid FROM erasures WHERE marked_at < 9 ORDER BY marked_at LIMIT 100";
    let plan: String = sqlx::query(plan).fetch_one(&mut file).await.unwrap().get("detail");
    assert!(plan.contains("USING COVERING INDEX erasures_in_order"), "{plan}");
}

#[tokio::test]
async fn uses_of_keys_are_noted_all_at_once() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    let cx = build::context();
    let keys = [0; 2].map(|_| build::key_bare(&cx.tenant, &build::secret()));
    for key in &keys {
        KeyStore::add(&*store, &cx, key).await.unwrap();
    }
    let last = format!("x'{:X}'", keys[1].id.0.simple());
    let refuse = format!(
        "CREATE TRIGGER refuse BEFORE UPDATE ON api_keys WHEN NEW.id = {last} BEGIN SELECT RAISE(ABORT, 'no'); END"
    );
    store.execute(sqlx::query(sqlx::AssertSqlSafe(refuse))).await.unwrap();
    let at = keys[0].created_at + time::Duration::HOUR;
    let uses: Vec<_> = keys.iter().map(|key| (key.id, at)).collect();

    store.used(&cx, &uses).await.unwrap_err();

    let first = store.find(&cx, By::Id(keys[0].id)).await.unwrap().unwrap();
    assert_eq!(
        first.last_used_at, keys[0].last_used_at,
        "one that fails takes back the others"
    );
    store.execute(sqlx::query("DROP TRIGGER refuse")).await.unwrap();
    store.used(&cx, &uses).await.unwrap();
    for key in keys {
        let kept = store.find(&cx, By::Id(key.id)).await.unwrap().unwrap();
        assert_eq!(kept.last_used_at, Some(at));
    }
}

/// Along an index, and for no longer than a delivery may come again; so with the sums that are swept.
#[tokio::test]
async fn deliveries_that_cannot_come_again_are_forgotten_by_and_by() {
    use captions_domain::usage::Batch;
    use sqlx::Row as _;

    let folder = folder();
    let store = store(&folder).await;
    let mut file = raw(&options(&folder).path).await;
    sqlx::raw_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130) \
         INSERT INTO usage_batches SELECT randomblob(16), (unixepoch() - 9 * 86400) * 1000000 FROM n; \
         INSERT INTO usage_batches SELECT randomblob(16), (unixepoch() - 7 * 86400) * 1000000",
    )
    .execute(&mut file)
    .await
    .unwrap();
    let mut left = Vec::new();

    for _ in 0..2 {
        let batch = Batch {
            id: uuid::Uuid::now_v7(),
            rows: vec![contract::usage::any_row(&build::context())],
        };
        UsageStore::add(&*store, &build::context(), &batch).await.unwrap();
        let counted = sqlx::query("SELECT count(*) FROM usage_batches");
        left.push(counted.fetch_one(&mut file).await.unwrap().get::<i64, _>(0));
    }

    assert_eq!(left, [32, 3], "the late one and these stay");
    for (plan, index) in [
        (
            "EXPLAIN QUERY PLAN SELECT rowid FROM usage_batches WHERE added_at < 9 ORDER BY added_at LIMIT 100",
            "usage_batches_in_order",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT rowid FROM usage_sums WHERE hour < 9 ORDER BY hour LIMIT 100",
            "usage_sums_in_order",
        ),
    ] {
        let plan: String = sqlx::query(plan).fetch_one(&mut file).await.unwrap().get("detail");
        assert!(plan.contains(&format!("USING COVERING INDEX {index}")), "{plan}");
    }
}
