//! How Postgres looks for captions: by an index, in its order, and no further than the page goes.

use captions_domain::{choice::Platform, ports::UsageStore, usage::Batch};
use captions_testkit::{build, contract, postgres::fresh_database};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use time::macros::datetime;

use super::*;
use crate::options::PgOptions;

/// So many captions of one tenant, one a second, of 400 users. French, the provider `second`, X and a high score are rare.
const MANY: u32 = 40_000;

async fn empty() -> (String, PgStore) {
    let limit = Duration::from_secs(60);
    let url = fresh_database().await;
    let store = PgStore::new(PgOptions {
        url: url.clone(),
        pool_size: 2,
        connect_timeout: limit,
        acquire_timeout: limit,
        statement_timeout: limit,
        idle_timeout: limit,
        max_lifetime: limit,
        pooling: true,
    })
    .unwrap();
    store.migrate().await.unwrap();
    (url, store)
}

async fn full() -> (PgConnection, Context) {
    let (url, store) = empty().await;
    let cx = build::context();
    let mut record = build::record(&build::user_id("ann"));
    record.caption.created_at = datetime!(2026-03-03 10:00 UTC);
    store.append(&cx, &record).await.unwrap();
    let mut database = PgConnection::connect(&url).await.unwrap();
    let copies = format!(
        "ALTER TABLE captions DISABLE TRIGGER USER; \
         INSERT INTO captions (tenant, id, request_id, user_id, description, caption, source, attempts, degraded, \
         created_at, searched) \
         SELECT tenant, (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint + n * 1000), 12, '0') \
         || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid, \
         request_id, 'user-' || n % 400, description, \
         jsonb_set(caption, '{{variants,0,quality,score}}', to_jsonb(CASE WHEN n % 9000 = 3 THEN 99.0 ELSE 50.0 END)) \
         || jsonb_build_object('language', CASE WHEN n % 9000 = 0 THEN 'fr-CA' ELSE 'en' END, \
         'provider', CASE WHEN n % 9000 = 1 THEN 'second' ELSE 'primary' END, \
         'platform', CASE WHEN n % 9000 = 2 THEN 'x' ELSE 'instagram' END), \
         source, attempts, degraded, created_at + n * interval '1 second', searched \
         FROM captions, generate_series(1, {MANY}) AS n; \
         ALTER TABLE captions ENABLE TRIGGER USER"
    );
    sqlx::raw_sql(AssertSqlSafe(copies))
        .execute(&mut database)
        .await
        .unwrap();
    sqlx::raw_sql("VACUUM ANALYZE captions")
        .execute(&mut database)
        .await
        .unwrap();
    (database, cx)
}

/// The rows of the page, the pages of memory that were looked at for it, and the kinds of steps.
async fn explain(
    database: &mut PgConnection,
    cx: &Context,
    filter: &Filter,
    before: Option<CaptionId>,
) -> (u64, u64, Vec<String>) {
    let mut query = QueryBuilder::new("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ");
    search(&mut query, &cx.tenant, filter, before, 21);
    let row = query.build().fetch_one(database).await.unwrap();
    let plan = &row.get::<Value, _>(0)[0]["Plan"];
    let count = |name: &str| plan[name].as_f64().unwrap_or_default();
    let mut steps = Vec::new();
    let mut next = Some(plan);
    while let Some(step) = next {
        let index = step["Index Name"].as_str().unwrap_or_default();
        steps.push(format!("{} {index}", step["Node Type"].as_str().unwrap()));
        next = step["Plans"].get(0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let whole = |number: f64| number as u64;
    let blocks = count("Shared Hit Blocks") + count("Shared Read Blocks");
    (whole(count("Actual Rows")), whole(blocks), steps)
}

#[tokio::test]
async fn a_page_of_a_long_history_costs_what_a_page_of_a_short_one_does() {
    let (mut database, cx) = full().await;
    let all = Filter::default();
    let middle = datetime!(2026-03-03 15:00 UTC);
    let until = Filter {
        until: Some(middle),
        ..all.clone()
    };
    let far = CaptionId(until.end_id().unwrap());
    let user = Filter::of_user(&build::user_id("user-7"));
    let of_user_in_english = Filter {
        language: Some("en".parse().unwrap()),
        ..user.clone()
    };
    let cases = [
        ("all", all.clone(), None, 200),
        ("all, far behind", all.clone(), Some(far), 200),
        ("of a time", until, None, 200),
        ("of a user", user.clone(), None, 200),
        ("of a user, far behind", user, Some(far), 200),
        ("of a user in a language", of_user_in_english, None, 200),
        // What is rare is looked for in the index alone, of which a row takes some 60 bytes.
        (
            "in a rare language",
            Filter {
                language: Some("fr".parse().unwrap()),
                ..all.clone()
            },
            None,
            1_000,
        ),
        (
            "by a rare provider",
            Filter {
                provider: Some("second".into()),
                ..all.clone()
            },
            None,
            1_000,
        ),
        (
            "for a rare platform",
            Filter {
                platform: Some(Platform::X),
                ..all.clone()
            },
            None,
            1_000,
        ),
        (
            "of a rare score",
            Filter {
                min_score: Some(90.0),
                ..all
            },
            None,
            1_000,
        ),
    ];
    for (name, filter, before, most) in cases {
        let (rows, blocks, steps) = explain(&mut database, &cx, &filter, before).await;

        assert!(rows > 3, "{name}: {rows} rows");
        assert!(blocks < most, "{name}: {blocks} blocks by {steps:?}");
        let is_ordered = steps
            .iter()
            .all(|step| !step.starts_with("Seq Scan") && !step.starts_with("Sort"));
        assert!(is_ordered || rows < 21, "{name}: {steps:?}");
        assert!(
            steps.iter().all(|step| !step.starts_with("Seq Scan")),
            "{name}: {steps:?}"
        );
    }
}

/// By their age and along an index: as many are cleared away with each erasure as make the table stop growing.
#[tokio::test]
async fn marks_that_nothing_can_be_older_than_go_by_and_by() {
    let (url, store) = empty().await;
    let (cx, extent) = (build::context(), Extent::OfUser(build::user_id("ann")));
    let mut database = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO erasures SELECT 'of old', int4send(n), 'infinity', now() - interval '91 days' \
         FROM generate_series(1, 130) AS n; \
         INSERT INTO erasures VALUES ('of late', 'x', 'infinity', now() - interval '89 days'); ANALYZE erasures",
    )
    .execute(&mut database)
    .await
    .unwrap();
    let mut left = Vec::new();

    for _ in 0..2 {
        store.erase(&cx, &extent).await.unwrap();
        let counted = "SELECT count(*) FILTER (WHERE tenant = 'of old'), count(*) FROM erasures";
        let row = sqlx::query(counted).fetch_one(&mut database).await.unwrap();
        left.push((row.get::<i64, _>(0), row.get::<i64, _>(1)));
    }

    assert_eq!(left, [(30, 32), (0, 2)], "the late one and this one stay");
    let plan = "SET enable_seqscan = off; SET enable_sort = off";
    sqlx::raw_sql(plan).execute(&mut database).await.unwrap();
    let plan = "EXPLAIN SELECT ctid FROM erasures WHERE marked_at < now() ORDER BY marked_at LIMIT 100";
    let rows = sqlx::query(plan).fetch_all(&mut database).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(plan.concat().contains("erasures_in_order"), "{plan:?}");
}

/// What a claim of before the erasure would settle is gone with it, in the same step as the mark and the captions.
#[tokio::test]
async fn all_that_goes_with_an_erasure_goes_in_one_step() {
    let (url, store) = empty().await;
    let (cx, extent) = (build::context(), Extent::OfUser(build::user_id("ann")));
    store.append(&cx, &build::record(&build::user_id("ann"))).await.unwrap();
    let mut database = PgConnection::connect(&url).await.unwrap();
    // The last of it fails, so none of it is made.
    sqlx::raw_sql(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
         CREATE TRIGGER fails BEFORE DELETE ON captions FOR EACH ROW EXECUTE FUNCTION fails()",
    )
    .execute(&mut database)
    .await
    .unwrap();

    assert!(store.erase(&cx, &extent).await.is_err());

    let marks = sqlx::query("SELECT count(*) FROM erasures")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(marks.get::<i64, _>(0), 0);
    sqlx::raw_sql("DROP TRIGGER fails ON captions")
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(store.erase(&cx, &extent).await.unwrap().captions, 1);
}

/// Along an index, and for no longer than a delivery may come again; so with the sums that are swept.
#[tokio::test]
async fn deliveries_that_cannot_come_again_are_forgotten_by_and_by() {
    let (url, store) = empty().await;
    let mut database = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO usage_batches SELECT gen_random_uuid(), now() - interval '9 days' FROM generate_series(1, 130); \
         INSERT INTO usage_batches SELECT gen_random_uuid(), now() - interval '7 days'",
    )
    .execute(&mut database)
    .await
    .unwrap();
    let mut left = Vec::new();

    for _ in 0..2 {
        let batch = Batch {
            id: uuid::Uuid::now_v7(),
            rows: vec![contract::usage::any_row(&build::context())],
        };
        UsageStore::add(&store, &build::context(), &batch).await.unwrap();
        let counted = sqlx::query("SELECT count(*) FROM usage_batches");
        left.push(counted.fetch_one(&mut database).await.unwrap().get::<i64, _>(0));
    }

    assert_eq!(left, [32, 3], "the late one and these stay");
    let plan = "SET enable_seqscan = off; SET enable_sort = off";
    sqlx::raw_sql(plan).execute(&mut database).await.unwrap();
    for (plan, index) in [
        (
            "EXPLAIN SELECT ctid FROM usage_batches WHERE added_at < now() ORDER BY added_at LIMIT 100",
            "usage_batches_in_order",
        ),
        (
            "EXPLAIN SELECT ctid FROM usage_sums WHERE hour < 9 ORDER BY hour LIMIT 100",
            "usage_sums_in_order",
        ),
    ] {
        let rows = sqlx::query(plan).fetch_all(&mut database).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(plan.concat().contains(index), "{plan:?}");
    }
}
