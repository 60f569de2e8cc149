//! From findings to changes of state: inactive, pending, firing, resolved. Pure: time is passed in.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    Alert, Bounded, Notice, Phase, Thresholds,
    rules::{Finding, Key, judge},
    vitals::Vitals,
};

/// How many windows make a change, and how often it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Windows in a row that must be wrong until an alert fires; until then it is pending. 0 acts as 1.
    pub fire_after: u32,
    /// Windows in a row that must be right until it is resolved. 0 acts as 1.
    pub resolve_after: u32,
    /// After it was resolved it does not fire again for this long; what is still wrong then fires at once.
    pub cool_down: Duration,
    /// While it fires it is told again this often.
    pub repeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            fire_after: 2,
            resolve_after: 2,
            cool_down: Duration::from_secs(300),
            repeat: Duration::from_secs(3600),
        }
    }
}

/// The state of every alert. An alert without an entry is inactive.
#[derive(Debug)]
pub struct Alerts {
    thresholds: Thresholds,
    pace: Pace,
    states: BTreeMap<Key, State>,
    told: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Pending {
        since: Instant,
        wrong: u32,
        /// Until when it may not fire.
        quiet_until: Option<Instant>,
    },
    Firing {
        since: Instant,
        told: Instant,
        right: u32,
    },
    /// Only remembered for as long as it must not fire again.
    Resolved {
        quiet_until: Instant,
    },
}

impl Alerts {
    /// Everything inactive.
    pub fn new(thresholds: Thresholds, pace: Pace) -> Self {
        Self {
            thresholds,
            pace: Pace {
                fire_after: pace.fire_after.max(1),
                resolve_after: pace.resolve_after.max(1),
                ..pace
            },
            states: BTreeMap::new(),
            told: 0,
        }
    }

    /// Takes in one window and returns what has changed by it. A window without a figure leaves the alerts that need
    /// it as they are.
    pub fn look(&mut self, now: Instant, vitals: &Vitals) -> Vec<Notice> {
        let findings = judge(vitals, &self.thresholds);
        let mut keys: Vec<Key> = self.states.keys().cloned().collect();
        keys.extend(
            findings
                .by_key
                .keys()
                .filter(|key| !self.states.contains_key(*key))
                .cloned(),
        );
        let mut notices = Vec::new();
        for key in keys {
            let Some(finding) = findings.of(&key) else {
                continue;
            };
            let before = self.states.get(&key).copied();
            let (after, change) = step(before, &finding, now, &self.pace);
            match after {
                Some(after) => self.states.insert(key.clone(), after),
                None => self.states.remove(&key),
            };
            if let Some((phase, since)) = change {
                self.told += 1;
                notices.push(self.notice(key, phase, finding, now, now - since));
            }
        }
        notices
    }

    /// What fires now, with its subject and since when.
    pub fn firing(&self) -> Vec<(Alert, &str, Instant)> {
        let firing = self.states.iter().filter_map(|((alert, subject), state)| match state {
            State::Firing { since, .. } => Some((*alert, subject.as_str(), *since)),
            State::Pending { .. } | State::Resolved { .. } => None,
        });
        firing.collect()
    }

    fn notice(&self, (alert, subject): Key, phase: Phase, finding: Finding, at: Instant, lasted: Duration) -> Notice {
        let (summary, figure) = match finding {
            Finding::Wrong { summary, figure } => (summary, Some(figure)),
            Finding::Right => {
                let summary = format!("back to normal after {:.0} s", lasted.as_secs_f64());
                (Bounded::new(&summary), None)
            }
        };
        Notice {
            number: self.told,
            alert,
            subject,
            phase,
            summary,
            figure,
            at,
            lasted,
        }
    }
}

/// The next state, and what is to be told with the instant since which it is or was wrong.
fn step(
    before: Option<State>,
    finding: &Finding,
    now: Instant,
    pace: &Pace,
) -> (Option<State>, Option<(Phase, Instant)>) {
    let is_wrong = matches!(finding, Finding::Wrong { .. });
    let (since, wrong, quiet_until) = match before {
        None => (now, 0, None),
        Some(State::Resolved { quiet_until }) => (now, 0, Some(quiet_until)),
        Some(State::Pending {
            since,
            wrong,
            quiet_until,
        }) => (since, wrong, quiet_until),
        Some(State::Firing { since, told, right }) => return still_firing(since, told, right, is_wrong, now, pace),
    };
    let quiet_until = quiet_until.filter(|until| now < *until);
    if !is_wrong {
        // As long as it must not fire again, that is remembered.
        return (quiet_until.map(|quiet_until| State::Resolved { quiet_until }), None);
    }
    let wrong = wrong.saturating_add(1);
    if wrong < pace.fire_after || quiet_until.is_some() {
        let pending = State::Pending {
            since,
            wrong,
            quiet_until,
        };
        return (Some(pending), None);
    }
    let firing = State::Firing {
        since,
        told: now,
        right: 0,
    };
    (Some(firing), Some((Phase::Firing, since)))
}

/// The same for an alert that has fired.
fn still_firing(
    since: Instant,
    told: Instant,
    right: u32,
    is_wrong: bool,
    now: Instant,
    pace: &Pace,
) -> (Option<State>, Option<(Phase, Instant)>) {
    if is_wrong {
        let is_due = now.duration_since(told) >= pace.repeat;
        let told = if is_due { now } else { told };
        let state = State::Firing { since, told, right: 0 };
        return (Some(state), is_due.then_some((Phase::Repeated, since)));
    }
    let right = right.saturating_add(1);
    if right < pace.resolve_after {
        return (Some(State::Firing { since, told, right }), None);
    }
    // A time beyond what the clock can hold is no cool-down at all.
    let quiet_until = now.checked_add(pace.cool_down).filter(|until| *until > now);
    let resolved = quiet_until.map(|quiet_until| State::Resolved { quiet_until });
    (resolved, Some((Phase::Resolved, since)))
}

#[cfg(test)]
mod tests;
