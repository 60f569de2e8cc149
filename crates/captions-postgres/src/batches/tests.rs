use captions_testkit::{build, contract::batches::batch, postgres::fresh_database};
use sqlx::AssertSqlSafe;

use super::*;
use crate::PgOptions;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_claim_follows_its_index_however_much_waits() {
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
