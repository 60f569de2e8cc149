use captions_testkit::{build, contract::batches::batch};
use sqlx::AssertSqlSafe;

use super::*;

#[tokio::test]
async fn a_claim_follows_its_index_however_much_waits() {
    let store = SqliteStore::in_memory();
    store.migrate().await.unwrap();
    store.submit(&build::context(), &batch(10_000)).await.unwrap();

    for statement in [DUE, LEASE] {
        let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let rows = store.fetch_all(query).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("\n");

        assert!(plan.contains("batch_items_due"), "{plan}");
        assert!(!plan.contains("SCAN batch_items"), "{plan}");
    }
}
