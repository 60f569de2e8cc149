//! The file in which captions wait.

use std::{
    fs::{self, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use captions_domain::{
    caption::{CaptionId, Record},
    context::Context,
    fault::{Fault, FaultKind, StoreError},
    history::{Amendment, Extent, Filter},
    request::UserId,
    usage::Batch,
};
use sqlx::{Error, Row as _, migrate::Migrator, sqlite::SqliteRow, sqlite::SqliteSynchronous, types::Json};
use time::OffsetDateTime;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Snapshot, SpoolOptions,
    row::{self, Row},
};
use crate::sqlite::{
    SqliteOptions, SqliteStore, fault,
    fault::file_fault,
    migrations::steps,
    more::{self, Added},
    users::microseconds,
};

/// The most that one statement, and waiting for the file, may take: a caller waits for it.
const LIMIT: Duration = Duration::from_secs(2);
/// Between two looks at a lock that another process holds.
const LOOK: Duration = Duration::from_millis(10);

pub(super) struct File {
    /// Used for its file alone: it has tables of its own.
    store: SqliteStore,
    lock: Mutex<fs::File>,
    max_rows: i64,
    max_bytes: i64,
}

/// What became of a caption that was to be kept.
pub(super) enum Kept {
    Yes,
    /// There is no room for it.
    Full,
}

/// The right to deliver, or to erase, held by one process at a time and within it by one task.
pub(super) struct Turn<'f>(MutexGuard<'f, fs::File>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It cannot fail for a lock that is held; if it did, it would be tried with again by the next to want it.
        drop(self.0.unlock());
    }
}

fn migrator() -> Migrator {
    steps([
        (
            1,
            "waiting captions",
            include_str!("../../migrations/spool/0001_waiting.sql"),
        ),
        (
            2,
            "picked variants",
            include_str!("../../migrations/spool/0002_selection.sql"),
        ),
        (
            3,
            "variants that come later",
            include_str!("../../migrations/spool/0003_variants.sql"),
        ),
    ])
}

fn store(path: PathBuf) -> Result<SqliteStore, Fault> {
    let options = SqliteOptions {
        path,
        pool_size: 2,
        acquire_timeout: LIMIT,
        statement_timeout: LIMIT,
    };
    SqliteStore::with(options, |connect| {
        connect
            // Nothing else has these captions, so each waits for the disk.
            .synchronous(SqliteSynchronous::Full)
            // What was delivered or erased is overwritten and not only forgotten.
            .pragma("secure_delete", "ON")
    })
}

/// Opens the file whose lock says whose turn it is. A file of its own: SQLite's locks end when anybody in the process
/// closes the file that they are on.
fn lock_file(path: &Path) -> Result<fs::File, Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = opened.map_err(|error| file_fault(&path, &error))?;
    match file.try_lock() {
        Ok(()) => file.unlock().map_err(|error| file_fault(&path, &error))?,
        // Somebody has it: locks work here.
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(file_fault(&path, &error)),
    }
    Ok(file)
}

impl File {
    pub(super) async fn open(options: SpoolOptions) -> Result<Self, Fault> {
        let store = store(options.path.clone())?;
        store.migrate_by(&migrator()).await?;
        let lock = tokio::task::spawn_blocking(move || lock_file(&options.path)).await;
        Ok(Self {
            store,
            lock: Mutex::new(lock.map_err(|stopped| Fault::because(FaultKind::Unavailable, stopped))??),
            max_rows: options.max_rows.try_into().unwrap_or(i64::MAX),
            max_bytes: options.max_bytes.try_into().unwrap_or(i64::MAX),
        })
    }

    pub(super) async fn look(path: PathBuf) -> Result<Option<Snapshot>, Fault> {
        if !path.exists() {
            return Ok(None);
        }
        let store = store(path)?;
        let snapshot = snapshot(&store).await;
        store.close().await;
        snapshot.map(Some)
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, Fault> {
        snapshot(&self.store).await
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }

    /// Waits until nobody else delivers or erases, but not past `until`.
    pub(super) async fn turn(&self, until: Instant) -> Result<Turn<'_>, Fault> {
        let late = |_| Fault::because(FaultKind::Timeout, "others are at work on the spool");
        let file = timeout_at(until, self.lock.lock()).await.map_err(late)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Turn(file)),
                Err(TryLockError::Error(error)) => return Err(Fault::because(FaultKind::Unavailable, error)),
                Err(TryLockError::WouldBlock) => timeout_at(until, sleep(LOOK)).await.map_err(late)?,
            }
        }
    }

    /// Writes the caption, unless it is there already or there is no room.
    pub(super) async fn keep(&self, cx: &Context, record: &Record) -> Result<Kept, Fault> {
        let text = row::write(record).map_err(|error| Fault::because(FaultKind::Internal, error))?;
        let query = sqlx::query(
            "INSERT INTO waiting (tenant, id, user_id, record, feedback, since, selected, edition) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?9, ?10 FROM filled \
             WHERE rows < ?7 AND bytes + octet_length(?4) + coalesce(octet_length(?5), 0) <= ?8 ON CONFLICT DO NOTHING",
        );
        let query = query
            .bind(cx.tenant.as_str())
            .bind(record.id.0)
            .bind(record.user.as_ref().map(UserId::as_str))
            .bind(text)
            .bind(record.feedback.as_ref().map(Json))
            .bind(microseconds(OffsetDateTime::now_utc()))
            .bind(self.max_rows)
            .bind(self.max_bytes)
            .bind(record.selected.map(i64::from))
            .bind(i64::try_from(record.version.saturating_sub(1)).unwrap_or(i64::MAX));
        if self.store.execute(query).await.map_err(plain)? > 0 {
            return Ok(Kept::Yes);
        }
        Ok(if self.row(cx, record.id).await?.is_some() {
            Kept::Yes
        } else {
            Kept::Full
        })
    }

    /// The same with a batch of usage.
    pub(super) async fn keep_usage(&self, batch: &Batch) -> Result<Kept, Fault> {
        let text = serde_json::to_string(&batch.rows).map_err(|error| Fault::because(FaultKind::Internal, error))?;
        let query = sqlx::query(
            "INSERT INTO waiting (tenant, id, record, since) SELECT '', ?1, ?2, ?3 FROM filled \
             WHERE rows < ?4 AND bytes + octet_length(?2) <= ?5 ON CONFLICT DO NOTHING",
        );
        let query = query
            .bind(batch.id)
            .bind(text)
            .bind(microseconds(OffsetDateTime::now_utc()))
            .bind(self.max_rows)
            .bind(self.max_bytes);
        if self.store.execute(query).await.map_err(plain)? > 0 {
            return Ok(Kept::Yes);
        }
        let query = sqlx::query("SELECT 1 FROM waiting WHERE tenant = '' AND id = ?1").bind(batch.id);
        let found = self.store.fetch_optional(query).await.map_err(plain)?;
        Ok(if found.is_some() { Kept::Yes } else { Kept::Full })
    }

    /// Names the user in no usage that waits any more. In how many sums it did.
    async fn forget_in_usage(&self, cx: &Context, user: &UserId) -> Result<u64, Fault> {
        let query = sqlx::query(
            "SELECT count(*) FROM waiting, json_each(waiting.record) WHERE waiting.tenant = '' \
             AND value ->> 'tenant' = ?1 AND value ->> 'user' = ?2",
        );
        let query = query.bind(cx.tenant.as_str()).bind(user.as_str());
        let named = self.store.fetch_optional(query).await.map_err(plain)?;
        let named = named
            .map_or(Ok(0), |row| row.try_get::<i64, _>(0))
            .map_err(fault::fault)?;
        let query = sqlx::query(
            "UPDATE waiting SET record = (SELECT json_group_array(json(CASE WHEN value ->> 'tenant' = ?1 \
             AND value ->> 'user' IS ?2 THEN json_remove(value, '$.user') ELSE value END)) FROM json_each(waiting.record)) \
             WHERE tenant = '' AND EXISTS (SELECT 1 FROM json_each(waiting.record) \
             WHERE value ->> 'tenant' = ?1 AND value ->> 'user' = ?2)",
        );
        let query = query.bind(cx.tenant.as_str()).bind(user.as_str());
        self.store.execute(query).await.map_err(plain)?;
        Ok(u64::try_from(named).unwrap_or_default())
    }

    pub(super) async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, Fault> {
        self.row(cx, id).await?.as_ref().map(record_of).transpose()
    }

    async fn row(&self, cx: &Context, id: CaptionId) -> Result<Option<SqliteRow>, Fault> {
        let query =
            sqlx::query("SELECT id, record, feedback, selected, edition FROM waiting WHERE tenant = ?1 AND id = ?2");
        let found = self.store.fetch_optional(query.bind(cx.tenant.as_str()).bind(id.0));
        found.await.map_err(plain)
    }

    /// Those that the filter admits, newest first.
    pub(super) async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, Fault> {
        const AT_ONCE: u32 = 100;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut before, mut found) = (before, Vec::new());
        loop {
            let query = sqlx::query(
                "SELECT id, record, feedback, selected, edition FROM waiting WHERE tenant = ?1 \
                 AND (?2 IS NULL OR user_id = ?2) AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
            );
            let query = query
                .bind(cx.tenant.as_str())
                .bind(filter.user.as_ref().map(UserId::as_str))
                .bind(before.map(|id| id.0))
                .bind(i64::from(AT_ONCE));
            let rows = self.store.fetch_all(query).await.map_err(plain)?;
            for row in &rows {
                let record = record_of(row)?;
                before = Some(record.id);
                if found.len() < wanted && filter.admits(&record) {
                    found.push(record);
                }
            }
            if found.len() >= wanted || rows.len() < AT_ONCE as usize {
                return Ok(found);
            }
        }
    }

    /// The version that it has then; `None` if it does not wait here.
    pub(super) async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        macro_rules! amend {
            ($column:literal) => {
                concat!(
                    "UPDATE waiting SET ",
                    $column,
                    " = ?4, edition = edition + (",
                    $column,
                    " IS NOT ?4) \
                     WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR edition + 1 = ?3) RETURNING edition"
                )
            };
        }
        let expected = match expect {
            Some(version) => Some(i64::try_from(version).map_err(|_| StoreError::Conflict)?),
            None => None,
        };
        let query = sqlx::query(match amendment {
            Amendment::Feedback(_) => amend!("feedback"),
            Amendment::Selection(_) => amend!("selected"),
            Amendment::More(_) => concat!(
                "UPDATE waiting SET record = ",
                more::grown!("record", "$.caption"),
                ", edition = edition + 1 WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR edition + 1 = ?3) AND ",
                more::is_new!("record", "$.caption"),
                " RETURNING edition"
            ),
        });
        let query = query.bind(cx.tenant.as_str()).bind(id.0).bind(expected);
        let query = match amendment {
            Amendment::Feedback(feedback) => query.bind(Json(feedback)),
            Amendment::Selection(selected) => query.bind(selected.map(i64::from)),
            Amendment::More(more) => {
                let added = Added::new(more)?;
                query.bind(added.variants).bind(added.addition).bind(added.id)
            }
        };
        if let Some(row) = self.store.change_one(query).await? {
            return Ok(Some(row::version(row.try_get("edition").map_err(fault::fault)?)));
        }
        let there = self.read(cx, id).await?;
        amendment.made_before(there.as_ref(), expect)
    }

    /// How many captions waited, and in how many sums of usage the user was named.
    pub(super) async fn erase(&self, cx: &Context, extent: &Extent) -> Result<(u64, u64), Fault> {
        let in_usage = match extent {
            Extent::OfUser(user) => self.forget_in_usage(cx, user).await?,
            Extent::One(_) => 0,
        };
        let query = match extent {
            Extent::One(id) => sqlx::query("DELETE FROM waiting WHERE tenant = ? AND id = ?")
                .bind(cx.tenant.as_str())
                .bind(id.0),
            Extent::OfUser(user) => sqlx::query("DELETE FROM waiting WHERE tenant = ? AND user_id = ?")
                .bind(cx.tenant.as_str())
                .bind(user.as_str()),
        };
        Ok((self.store.execute(query).await.map_err(plain)?, in_usage))
    }

    /// The next rows to deliver, in order.
    pub(super) async fn next(&self, after: i64, limit: u32) -> Result<Vec<Row>, Fault> {
        let query = sqlx::query(
            "SELECT place, edition, tenant, id, record, feedback, selected, since FROM waiting WHERE aside = 0 AND place > ?1 \
             ORDER BY place LIMIT ?2",
        );
        let rows = self.store.fetch_all(query.bind(after).bind(i64::from(limit)));
        let row_of = |row: &SqliteRow| {
            Ok(Row {
                place: row.try_get("place")?,
                edition: row.try_get("edition")?,
                tenant: row.try_get("tenant")?,
                id: CaptionId(row.try_get("id")?),
                record: row.try_get("record")?,
                feedback: row.try_get("feedback")?,
                selected: selected(row)?,
                since: row.try_get("since")?,
            })
        };
        let rows: Result<Vec<Row>, Error> = rows.await.map_err(plain)?.iter().map(row_of).collect();
        rows.map_err(fault::fault)
    }

    /// Removes rows by place and edition; one that was changed since stays.
    pub(super) async fn remove(&self, delivered: &[(i64, i64)]) -> Result<(), Fault> {
        if delivered.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(
            "DELETE FROM waiting WHERE place IN (SELECT value ->> 0 FROM json_each(?1)) AND edition = \
             (SELECT value ->> 1 FROM json_each(?1) WHERE value ->> 0 = place)",
        );
        self.store.execute(query.bind(Json(delivered))).await.map_err(plain)?;
        Ok(())
    }

    /// Counts a refusal; `true` if the row is set aside with it.
    pub(super) async fn refused(&self, place: i64, limit: u32) -> Result<bool, Fault> {
        let limit = i64::from(limit);
        let query = sqlx::query(
            "UPDATE waiting SET refusals = refusals + 1, aside = refusals + 1 >= ?2 WHERE place = ?1 AND aside = 0",
        );
        self.store.execute(query.bind(place).bind(limit)).await.map_err(plain)?;
        let query = sqlx::query("SELECT 1 FROM waiting WHERE place = ?1 AND aside = 1");
        let aside = self.store.fetch_optional(query.bind(place)).await.map_err(plain)?;
        Ok(aside.is_some())
    }

    pub(super) async fn give_another_chance(&self) -> Result<(), Fault> {
        let query = sqlx::query("UPDATE waiting SET aside = 0, refusals = 0 WHERE aside = 1");
        self.store.execute(query).await.map_err(plain)?;
        Ok(())
    }
}

async fn snapshot(store: &SqliteStore) -> Result<Snapshot, Fault> {
    let query = sqlx::query(
        "SELECT rows, bytes, (SELECT since FROM waiting WHERE aside = 0 ORDER BY place LIMIT 1) AS since, \
         (SELECT count(*) FROM waiting WHERE aside = 1) AS aside FROM filled",
    );
    let Some(row) = store.fetch_optional(query).await.map_err(plain)? else {
        return Err(Fault::new(FaultKind::Corrupt));
    };
    let count = |name: &str| -> Result<u64, Error> {
        let count: i64 = row.try_get(name)?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    let read = || -> Result<Snapshot, Error> {
        let now = microseconds(OffsetDateTime::now_utc());
        let since: Option<i64> = row.try_get("since")?;
        Ok(Snapshot {
            rows: count("rows")?,
            bytes: count("bytes")?,
            // A clock that was set back makes nothing younger than new.
            oldest: since.map(|since| Duration::from_micros(u64::try_from(now - since).unwrap_or_default())),
            set_aside: count("aside")?,
        })
    };
    read().map_err(fault::fault)
}

fn record_of(row: &SqliteRow) -> Result<Record, Fault> {
    let id = row.try_get("id").map(CaptionId).map_err(fault::fault)?;
    let text: &str = row.try_get("record").map_err(fault::fault)?;
    let feedback: Option<&str> = row.try_get("feedback").map_err(fault::fault)?;
    let mut record = row::read(id, text, feedback).map_err(|error| Fault::because(FaultKind::Corrupt, error))?;
    record.selected = selected(row).map_err(fault::fault)?;
    record.version = row::version(row.try_get("edition").map_err(fault::fault)?);
    Ok(record)
}

fn selected(row: &SqliteRow) -> Result<Option<u8>, Error> {
    let selected: Option<i64> = row.try_get("selected")?;
    selected
        .map(|place| u8::try_from(place).map_err(|error| Error::Decode(error.into())))
        .transpose()
}

/// Nothing here expects a version, so a conflict is a mistake of ours.
fn plain(error: StoreError) -> Fault {
    match error {
        StoreError::Fault(fault) => fault,
        StoreError::Conflict | StoreError::Full { .. } => Fault::new(FaultKind::Internal),
    }
}

#[cfg(test)]
impl File {
    /// Makes the caption one that has waited so long.
    pub(super) async fn ages(&self, id: CaptionId, waited: Duration) {
        let since = microseconds(OffsetDateTime::now_utc() - waited);
        let query = sqlx::query("UPDATE waiting SET since = ? WHERE id = ?");
        self.store.execute(query.bind(since).bind(id.0)).await.unwrap();
    }

    /// Makes the caption unreadable.
    pub(super) async fn damage(&self, id: CaptionId) {
        let query = sqlx::query("UPDATE waiting SET record = '{' WHERE id = ?");
        self.store.execute(query.bind(id.0)).await.unwrap();
    }
}
