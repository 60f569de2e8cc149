use captions_testkit::{
    build,
    contract::{batches::batch, cut::cut_after},
    postgres::fresh_database,
};
use sqlx::AssertSqlSafe;

use super::*;
use crate::PgOptions;

const PATIENCE: Duration = Duration::from_secs(60);

async fn store() -> PgStore {
    let options = PgOptions {
        url: fresh_database().await,
        pool_size: 1,
        connect_timeout: PATIENCE,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        max_lifetime: PATIENCE,
        pooling: true,
    };
    let store = PgStore::new(options).unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn a_claim_follows_its_index_however_much_waits() {
    let store = store().await;
    store.submit(&build::context(), &batch(10_000)).await.unwrap();

    // What the planner knows of a table changes with its first look at it.
    for look in ["SELECT 1", "ANALYZE batches, batch_items"] {
        store.pool.execute(sqlx::query(look)).await.unwrap();
        let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN {CLAIM}")))
            .bind(Vec::<Uuid>::new())
            .bind(None::<Uuid>)
            .bind(4_i64)
            .bind(15.0);
        let rows = store.pool.fetch_all(query).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");

        assert!(plan.contains("batch_items_due"), "{plan}");
        assert!(!plan.contains("Seq Scan on batch_items"), "{plan}");
    }
}

/// As a process leaves it that is killed midway: it takes its room until its time is over, and then it goes.
#[tokio::test]
async fn a_draft_that_nobody_goes_on_with_takes_room_for_as_long_as_its_submission_may_take() {
    let store = store().await;
    let cx = Context {
        deadline: Instant::now() + Duration::from_secs(20),
        ..build::context()
    };
    let bounded = || NewBatch {
        most_open: Some(2000),
        ..batch(2000)
    };
    let drafts = async || {
        let query = "SELECT extract(epoch FROM draft_until - now())::float8 FROM batches WHERE state = 'draft'";
        let rows = store.pool.fetch_all(sqlx::query(query)).await.unwrap();
        rows.iter().map(|row| row.get::<f64, _>(0)).collect::<Vec<_>>()
    };
    let mut polls = 1;
    let mut broken = bounded();
    while drafts().await.is_empty() {
        broken = bounded();
        drop(cut_after(polls, store.submit(&cx, &broken)).await);
        assert_eq!(
            store.read(&cx, broken.id, Page::NONE).await.unwrap(),
            None,
            "no draft was seen"
        );
        polls += 1;
    }

    // Whoever goes on with it has their own time.
    let soon_over = "UPDATE batches SET draft_until = now() + interval '1 second' WHERE state = 'draft'";
    store.pool.execute(sqlx::query(soon_over)).await.unwrap();
    // How many polls it takes to come that far depends on how fast the server answers: one more each time, until it has.
    let mut polls = 1;
    let left = loop {
        drop(cut_after(polls, store.submit(&cx, &broken)).await);
        let left = drafts().await[0];
        if left > 1.0 {
            break left;
        }
        polls += 1;
    };
    let full = store.submit(&cx, &bounded()).await;

    assert!(left > 20.0 && left <= 50.0, "{left}");
    assert!(
        matches!(full, Err(StoreError::Full { open: 2000, most: 2000 })),
        "{full:?}"
    );
    let over = "UPDATE batches SET draft_until = now() WHERE state = 'draft'";
    store.pool.execute(sqlx::query(over)).await.unwrap();
    store.submit(&cx, &bounded()).await.unwrap();
    let tidy = Tidy {
        retention: PATIENCE,
        lease: PATIENCE,
    };
    store.tidy(tidy).await.unwrap();
    assert!(drafts().await.is_empty());
}
