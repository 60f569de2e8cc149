//! Limits of rate that all processes count together: one script on the server decides, by the server's clock.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind},
    ports::{Quota, QuotaKey},
    quota::{Cost, Decision, Plan, Presence, Take, patience},
};
use redis::{Script, ScriptInvocation};

use crate::link::Links;

/// [`Meter::take`](captions_domain::quota::Meter::take), step by step. All numbers are whole microseconds below 2^53, which
/// the server's floating point holds exactly; nothing is divided but the time to live. The one key holds a number for each
/// window.
///
/// Arguments: the patience; then capacity, cost, refund and charge of each window. Answers whether it was taken, the wait,
/// and how far each window is ahead of now.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local patience = tonumber(ARGV[1])
local windows = (#ARGV - 1) / 4
local before = redis.call('GET', KEYS[1]) or ''
local at, capacity, cost = {}, {}, {}
for number in string.gmatch(before, '%d+') do
  at[#at + 1] = tonumber(number)
end
local wait, changed = 0, false
for i = 1, windows do
  capacity[i] = tonumber(ARGV[i * 4 - 2])
  cost[i] = tonumber(ARGV[i * 4 - 1])
  local refund, charge = tonumber(ARGV[i * 4]), tonumber(ARGV[i * 4 + 1])
  local full = math.max(at[i] or 0, now)
  full = math.max(full - refund, now)
  full = math.max(full, math.min(full + charge, now + 2 * capacity[i]))
  at[i] = full
  wait = math.max(wait, full - now + cost[i] - capacity[i])
  changed = changed or refund > 0 or charge > 0
end
local taken = wait <= patience
local answer = { taken and 1 or 0, wait }
local after, last = {}, now
for i = 1, windows do
  if taken then
    at[i] = math.max(at[i], now + wait) + cost[i]
  end
  last = math.max(last, at[i])
  after[i] = string.format('%.0f', at[i])
  answer[i + 2] = at[i] - now
end
if taken or changed then
  if last > now then
    local left = math.floor((last - now) / 1000) + 1
    redis.call('SET', KEYS[1], table.concat(after, ' '), 'PX', string.format('%.0f', left))
  elseif before ~= '' then
    redis.call('DEL', KEYS[1])
  end
end
return answer";

/// Those who are there, by the time at which each one's lease ends. Arguments: the name, the limit and the lease in
/// milliseconds. Answers how many more could be, or -1.
const ENTER: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, lease = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local there = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  there = there - 1
end
if there >= limit then
  return -1
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[1])
if redis.call('PTTL', KEYS[1]) < lease then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lease))
end
return limit - there - 1";

static ENTER_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(ENTER));

/// The longest lease, in milliseconds: a day.
const LONGEST_LEASE: u64 = 24 * 3600 * 1000;
/// Above this a limit is none, and the server's floating point stays exact.
const LARGEST_LIMIT: u64 = 1 << 40;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));

/// Meters on one Redis server, shared by everybody who uses the same prefix.
///
/// Made by [`RedisCache::quota`](crate::RedisCache::quota). A decision is one round trip and takes no longer than the read time-out of the options. A meter goes by the server's
/// clock alone and disappears by itself once it is full.
pub struct RedisQuota {
    links: Arc<Links>,
    prefix: String,
    timeout: Duration,
}

impl fmt::Debug for RedisQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisQuota")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl RedisQuota {
    /// Over the connections of a cache, and told down or back together with it.
    pub(crate) const fn new(links: Arc<Links>, prefix: String, timeout: Duration) -> Self {
        Self { links, prefix, timeout }
    }

    /// In braces is what a cluster places the key by.
    fn place(&self, key: &QuotaKey, name: &str) -> String {
        let colon = if self.prefix.is_empty() { "" } else { ":" };
        format!("{}{colon}{{{key}}}:{name}", self.prefix)
    }
}

#[async_trait]
impl Quota for RedisQuota {
    async fn take(&self, _: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        let costs = plan.costs(take);
        if costs.is_empty() {
            return Ok(plan.decision(&costs, true, 0, &[]));
        }
        let call = invocation(&self.place(key, &plan.name()), &costs, patience(take));
        // By its digest; a server that does not know the script is given it, which is one more round trip.
        let ask = |mut connection| async move { call.invoke_async(&mut connection).await };
        let answer: Vec<u64> = self.links.next().run(self.timeout, ask).await?;
        match answer.as_slice() {
            [taken, wait, ahead @ ..] if ahead.len() == costs.len() => {
                Ok(plan.decision(&costs, *taken == 1, *wait, ahead))
            }
            _ => Err(Fault::because(FaultKind::Corrupt, "a decision of another form")),
        }
    }

    async fn attend(&self, _: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
        let place = self.place(key, "there");
        match *presence {
            Presence::Enter { id, limit, lease } => {
                let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
                let mut call = ENTER_SCRIPT.key(place);
                call.arg(id.simple().to_string())
                    .arg(limit.clamp(1, LARGEST_LIMIT))
                    .arg(lease.clamp(1, LONGEST_LEASE));
                let ask = |mut connection| async move { call.invoke_async(&mut connection).await };
                let left: i64 = self.links.next().run(self.timeout, ask).await?;
                Ok(u64::try_from(left).ok())
            }
            Presence::Leave { id } => {
                let mut call = redis::cmd("ZREM");
                call.arg(place).arg(id.simple().to_string());
                let ask = |mut connection| async move { call.query_async(&mut connection).await };
                let _: u64 = self.links.next().run(self.timeout, ask).await?;
                Ok(Some(0))
            }
        }
    }
}

fn invocation(key: &str, costs: &[Cost], patience: u64) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.key(key);
    call.arg(patience);
    for window in costs {
        call.arg(window.capacity)
            .arg(window.cost)
            .arg(window.refund)
            .arg(window.charge);
    }
    call
}

#[cfg(test)]
mod tests;
