//! The records of calls with a key, kept in memory as every store must keep them: for fakes, and to hold stores against.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use captions_domain::{
    caption::CaptionId,
    context::{Context, TenantId},
    once::{CallId, Claim, Payload, Reply, Standing, Step},
    request::UserId,
};
use tokio::time::Instant;
use uuid::Uuid;

/// Records in memory, on tokio's clock.
#[derive(Debug, Default)]
pub struct Records(Mutex<HashMap<(TenantId, CallId), Record>>);

#[derive(Debug, Clone)]
struct Record {
    payload: Payload,
    user: Option<UserId>,
    caption: CaptionId,
    id: Uuid,
    holder: Uuid,
    leased_until: Instant,
    expires_at: Instant,
    reply: Option<Reply>,
}

impl Records {
    /// What [`CaptionStore::once`](captions_domain::ports::CaptionStore::once) does.
    pub fn take(&self, cx: &Context, step: &Step) -> Standing {
        let now = Instant::now();
        let mut all = self.all();
        match step {
            Step::Claim(claim) => {
                let record = all.entry((cx.tenant.clone(), claim.call));
                let found = match record {
                    std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
                    std::collections::hash_map::Entry::Vacant(vacant) => {
                        vacant.insert(new(cx, claim, now));
                        return Standing::Held { id: cx.fresh_id };
                    }
                };
                let is_same = found.payload == claim.payload;
                let is_leased = found.leased_until > now && found.holder != cx.fresh_id;
                match &found.reply {
                    _ if found.expires_at <= now && !is_leased => {
                        *found = new(cx, claim, now);
                        Standing::Held { id: cx.fresh_id }
                    }
                    _ if !is_same => Standing::Different,
                    Some(reply) => Standing::Answered(reply.clone()),
                    None if is_leased => Standing::Busy,
                    None => {
                        *found = Record {
                            id: found.id,
                            caption: found.caption,
                            ..new(cx, claim, now)
                        };
                        Standing::Held { id: found.id }
                    }
                }
            }
            Step::Settle { call, reply, keep_for } => {
                let record = all.get_mut(&(cx.tenant.clone(), *call));
                let Some(record) = record.filter(|record| record.holder == cx.fresh_id) else {
                    return Standing::Changed(0);
                };
                record.reply = Some(reply.clone());
                record.leased_until = now;
                record.expires_at = later(now, *keep_for);
                Standing::Changed(1)
            }
            Step::Release { call } => {
                let record = all.get_mut(&(cx.tenant.clone(), *call));
                let is_held = |record: &&mut Record| record.holder == cx.fresh_id && record.reply.is_none();
                let Some(record) = record.filter(is_held) else {
                    return Standing::Changed(0);
                };
                record.leased_until = now;
                Standing::Changed(1)
            }
            Step::Sweep { limit } => {
                let mut over: Vec<_> = all
                    .iter()
                    .filter(|(_, record)| record.expires_at <= now && record.leased_until <= now)
                    .map(|(place, record)| (record.expires_at, place.clone()))
                    .collect();
                over.sort_by_key(|(expired, _)| *expired);
                over.truncate(*limit as usize);
                for (_, place) in &over {
                    all.remove(place);
                }
                Standing::Changed(over.len() as u64)
            }
        }
    }

    /// What erasing a user takes along, if `captions` are theirs.
    pub fn forget(&self, cx: &Context, user: &UserId, captions: &[CaptionId]) {
        self.all().retain(|(tenant, _), record| {
            let is_theirs = record.user.as_ref() == Some(user) || captions.contains(&record.caption);
            *tenant != cx.tenant || !is_theirs
        });
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(TenantId, CallId), Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new(cx: &Context, claim: &Claim, now: Instant) -> Record {
    Record {
        payload: claim.payload,
        user: claim.user.clone(),
        caption: claim.caption.unwrap_or(CaptionId(cx.fresh_id)),
        id: cx.fresh_id,
        holder: cx.fresh_id,
        leased_until: later(now, claim.lease),
        expires_at: later(now, claim.keep_for),
        reply: None,
    }
}

fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}
