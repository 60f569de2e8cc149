//! The same work with ten times as much behind it, and pages of a long history.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::json;
use tokio::task::block_in_place;

use super::{check, milliseconds};
use crate::{
    bed::{Bed, FROM_PROVIDER, fresh, listed_at, new_at, next, stored_at},
    load::{Ask, Call, closed, count},
    process::Process,
    report::{Bound::AtMost, Comparison::Ratio, Figure},
    upstream::{Manner, Mood},
};

/// What a request costs with so much in the stores.
struct Cost {
    /// Microseconds of CPU.
    cold: f64,
    hit: f64,
    /// Milliseconds for a page of 20, newest first and in the middle.
    page: f64,
    middle: f64,
}

/// Ten times the users, each one's history, and the cached captions: as many as fit into memory either way. Where they do not,
/// a hit is Redis's, which has a scenario of its own.
pub(super) async fn ten_times(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let [users, history, cached] = if bed.extent.smoke { [2, 3, 20] } else { [50, 100, 500] };
    let mut costs = Vec::new();
    for factor in [1, 10] {
        let grown = Grown::start(bed, users * factor, history * factor).await?;
        costs.push(grown.cost(bed, cached * factor).await?);
    }
    let [one, ten] = &costs[..] else {
        anyhow::bail!("two sizes were measured")
    };
    let name = "10 x users, history, cached captions";
    let figure = |what, unit, of: fn(&Cost) -> f64| {
        Figure::alone(name, what, unit, &[of(ten)])
            .beside("1 x", Ratio, &[of(ten)], &[of(one)])
            .target(AtMost(1.2))
    };
    Ok(vec![
        figure("CPU of a new caption", "us", |cost| cost.cold),
        figure("CPU of a hit", "us", |cost| cost.hit),
        figure("first page of a history, p50", "ms", |cost| cost.page),
        figure("a page in the middle, p50", "ms", |cost| cost.middle),
    ])
}

/// One user with so many captions on Postgres, ten million unless another number is asked for, beside one with ten thousand.
pub(super) async fn long_history(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let [few, many] = if bed.extent.smoke {
        [30, 300]
    } else {
        [10_000, bed.extent.rows]
    };
    let mut costs = Vec::new();
    for rows in [few, many] {
        let grown = Grown::start(bed, 1, rows).await?;
        costs.push(grown.pages(bed).await?);
    }
    let [(first, middle), (first_of_many, middle_of_many)] = costs[..] else {
        anyhow::bail!("two sizes were measured")
    };
    let name = "a long history";
    let figure = |what, many: f64, few: f64| {
        Figure::alone(name, what, "ms", &[many])
            .beside("10,000 rows", Ratio, &[many], &[few])
            .target(AtMost(1.2))
    };
    Ok(vec![
        Figure::alone(name, "rows", "", &[count(many)]),
        figure("first page, p50", first_of_many, first),
        figure("a page in the middle, p50", middle_of_many, middle),
    ])
}

/// A service on a database of its own with so many users and captions of each.
struct Grown {
    service: Process,
    users: usize,
    /// When half of the captions had been written.
    middle: String,
}

impl Grown {
    async fn start(bed: &Bed, users: usize, history: usize) -> anyhow::Result<Self> {
        let database = bed.postgres.new_database();
        let service = bed.service_on(&database, &bed.redis.url(), &[]).await?;
        bed.mood(Mood {
            manner: Manner::Other,
            ..Mood::default()
        })
        .await?;
        let stored = closed(&stored_at(&service, 201, FROM_PROVIDER), 1, 0, Duration::from_millis(1)).await?;
        bed.mood(Mood::default()).await?;
        check(&stored)?;
        let name = database.rsplit('/').next().unwrap_or_default().to_owned();
        block_in_place(|| {
            let sql = |sql: &str| bed.postgres.sql(&name, sql);
            let columns = sql(
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_name = 'captions' AND \
                 is_generated = 'NEVER' AND column_name NOT IN ('id', 'user_id', 'created_at')",
            );
            sql(&format!(
                "INSERT INTO users SELECT 'local', 'user-' || n, NULL, '{{}}', 1, now(), now() FROM generate_series(0, {}) n",
                users - 1
            ));
            // One a minute until now, with ids of version 7. What the trigger asks for, an erasure meanwhile, cannot be.
            let rows = users * history;
            sql(&format!(
                "ALTER TABLE captions DISABLE TRIGGER USER; \
                 CREATE TEMP TABLE model AS SELECT {columns} FROM captions LIMIT 1; \
                 INSERT INTO captions (id, user_id, created_at, {columns}) SELECT \
                 (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, \
                 'user-' || n % {users}, at, model.* \
                 FROM generate_series(1, {rows}) n, LATERAL (SELECT now() - ({rows} - n + 1) * interval '1 minute' AS at) times, model; \
                 ALTER TABLE captions ENABLE TRIGGER USER",
            ));
            sql("VACUUM ANALYZE");
            // What filling the tables has left to be written would be measured with the pages.
            sql("CHECKPOINT");
        });
        let middle = block_in_place(|| {
            let minutes = users * history / 2;
            let time = format!("now() AT TIME ZONE 'utc' - {minutes} * interval '1 minute'");
            bed.postgres.sql(
                &name,
                &format!("SELECT to_char({time}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"),
            )
        });
        Ok(Self { service, users, middle })
    }

    fn page(&self, query: &str) -> Call {
        Call {
            path: format!("/v1/users/user-{}/captions?limit=20{query}", next() % self.users).leak(),
            ask: Ask::Get,
            status: 200,
            ..new_at(&self.service, r#""data":[{"#)
        }
    }

    /// The first page and one in the middle, p50 in milliseconds.
    async fn pages(&self, bed: &Bed) -> anyhow::Result<(f64, f64)> {
        let first = closed(&self.page(""), 1, bed.warm_up(8), bed.time()).await?;
        check(&first)?;
        let middle = closed(
            &self.page(&format!("&until={}", self.middle)),
            1,
            bed.warm_up(8),
            bed.time(),
        )
        .await;
        let middle = middle.context("a page in the middle")?;
        check(&middle)?;
        Ok((
            milliseconds(first.percentile(0.5)),
            milliseconds(middle.percentile(0.5)),
        ))
    }

    async fn cost(&self, bed: &Bed, cached: usize) -> anyhow::Result<Cost> {
        let (page, middle) = self.pages(bed).await?;
        let users = self.users;
        let new = Call {
            ask: Ask::Post(Arc::new(move || {
                let body = json!({"content_description": fresh(), "user_id": format!("user-{}", next() % users), "store": false});
                Some(Bytes::from(body.to_string()))
            })),
            ..new_at(&self.service, FROM_PROVIDER)
        };
        let cold = self.cpu(bed, &new).await?;
        // The sizes share a Redis.
        let named = format!("bun {users}");
        let all = listed_at(&self.service, &named, 0..cached, FROM_PROVIDER);
        check(&closed(&all, 16, 0, Duration::from_secs(60)).await?)?;
        // Each of them again and again: what is measured is the look-up, however many there are.
        let again = Call {
            ask: Ask::Post(Arc::new(move || {
                let number = next() % cached;
                let body = json!({
                    "content_description": format!("Bread on the counter of a bakery with {named} {number}"),
                    "user_id": crate::bed::user(number), "store": false,
                });
                Some(Bytes::from(body.to_string()))
            })),
            ..new_at(&self.service, r#""source":""#)
        };
        let hit = self.cpu(bed, &again).await?;
        Ok(Cost {
            cold,
            hit,
            page,
            middle,
        })
    }

    /// Microseconds of CPU for one request.
    async fn cpu(&self, bed: &Bed, call: &Call) -> anyhow::Result<f64> {
        check(&closed(call, 16, bed.warm_up(16), bed.time()).await?)?;
        let before = self.service.usage()?.cpu;
        let measured = closed(call, 16, 0, bed.time()).await?;
        check(&measured)?;
        ensure!(!measured.answers.is_empty(), "nothing was answered");
        Ok((self.service.usage()?.cpu - before) / count(measured.answers.len()) * 1e6)
    }
}
