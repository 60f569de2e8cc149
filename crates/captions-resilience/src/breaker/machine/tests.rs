//! The machine against a reference that is written another way: it keeps the set of tickets that still count.

mod rates;

use std::collections::{HashSet, VecDeque};

use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;

use super::super::WindowSettings;

const RECOVERY_MS: u64 = 60_000;
const WINDOW_MS: u64 = 10_000;
const SLOW_MS: u64 = 200;

/// Every rule, switched on or off.
fn rules() -> impl Strategy<Value = BreakerSettings> {
    let rate =
        || prop::option::of(prop_oneof![Just(50), Just(80), 1..=100].prop_map(|percent| f64::from(percent) / 100.0));
    let window = (0_u32..12, rate(), rate()).prop_map(|(min_calls, failure_rate, slow_rate)| WindowSettings {
        length: Duration::from_millis(WINDOW_MS),
        min_calls,
        failure_rate,
        slow_call: Duration::from_millis(SLOW_MS),
        slow_rate,
    });
    (prop_oneof![Just(0_u32), Just(3), Just(8)], prop::option::of(window)).prop_map(|(failure_threshold, window)| {
        BreakerSettings {
            failure_threshold,
            window,
            recovery_timeout: Duration::from_millis(RECOVERY_MS),
        }
    })
}

/// One failure opens it; nothing else does.
fn brittle() -> BreakerSettings {
    BreakerSettings {
        failure_threshold: 1,
        window: None,
        ..BreakerSettings::default()
    }
}

const FAILED: Done = Done {
    failed: true,
    took: QUICK,
};
const QUICK: Duration = Duration::from_millis(1);

fn succeed(machine: &mut Machine, ticket: &Ticket, now: Instant) -> Option<Change> {
    let done = Done {
        failed: false,
        took: QUICK,
    };
    machine.finish(ticket, now, done, || 0.0)
}

fn fail(machine: &mut Machine, ticket: &Ticket, now: Instant) -> Option<Change> {
    machine.finish(ticket, now, FAILED, || 0.0)
}

#[derive(Debug, Clone)]
enum Op {
    Admit,
    /// The ticket at this place of all ever given, if it has not been handed in; it took so many milliseconds.
    Finish(usize, bool, u64),
    Drop(usize),
    Pass(u64),
    ForceOpen,
    ForceClosed,
    Automatic,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let jump = prop_oneof![
        Just(0_u64),
        1_u64..1000,
        Just(499),
        Just(500),
        Just(900),
        Just(999),
        Just(1000),
        Just(WINDOW_MS - 1),
        Just(WINDOW_MS),
        Just(29_999),
        Just(60_000),
        Just(86_400_000),
    ];
    let op = prop_oneof![
        8 => Just(Op::Admit),
        12 => (0_usize..60, prop::bool::weighted(0.6), prop_oneof![Just(1), Just(SLOW_MS - 1), Just(SLOW_MS), Just(5000)])
            .prop_map(|(id, failed, took)| Op::Finish(id, failed, took)),
        2 => (0_usize..60).prop_map(Op::Drop),
        6 => jump.prop_map(Op::Pass),
        1 => prop_oneof![Just(Op::ForceOpen), Just(Op::ForceClosed), Just(Op::Automatic)],
    ];
    vec(op, 1..150)
}

#[derive(Debug)]
struct Reference {
    settings: BreakerSettings,
    now: u64,
    counting: HashSet<usize>,
    row: u32,
    /// When the window of this closed time began.
    origin: Option<u64>,
    /// Every call since then: when it ended, whether it failed, whether it was slow.
    events: VecDeque<(u64, bool, bool)>,
    open_until: Option<u64>,
    half_open: bool,
    probe: Option<(usize, u64)>,
    forced: Option<bool>,
    outage: Option<(u64, u64)>,
    opened: u64,
}

impl Reference {
    fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            now: 0,
            counting: HashSet::new(),
            row: 0,
            origin: None,
            events: VecDeque::new(),
            open_until: None,
            half_open: false,
            probe: None,
            forced: None,
            outage: None,
            opened: 0,
        }
    }

    /// Calls, failures and slow calls whose tenth of the window is one of the last ten.
    fn counts(&self) -> (u32, u32, u32) {
        let step = |at: u64| (at - self.origin.unwrap()) / (WINDOW_MS / 10);
        self.events
            .iter()
            .filter(|(at, ..)| step(*at) + 10 > step(self.now))
            .fold((0, 0, 0), |(calls, failures, slow), (_, failed, was_slow)| {
                (calls + 1, failures + u32::from(*failed), slow + u32::from(*was_slow))
            })
    }

    /// Whether a rule is met, with whole numbers where the settings allow it.
    fn must_open(&self) -> bool {
        if self.settings.failure_threshold > 0 && self.row == self.settings.failure_threshold {
            return true;
        }
        let Some(window) = self.settings.window else {
            return false;
        };
        let (calls, failures, slow) = self.counts();
        let percent = |rate: f64| (1..=100).find(|percent| f64::from(*percent) / 100.0 >= rate).unwrap();
        let reaches = |count: u32, rate: Option<f64>| rate.is_some_and(|rate| 100 * count >= percent(rate) * calls);
        calls >= window.min_calls && (reaches(failures, window.failure_rate) || reaches(slow, window.slow_rate))
    }

    fn admit(&mut self, id: usize) -> Result<(), u64> {
        match self.forced {
            Some(false) => return Err(RECOVERY_MS),
            Some(true) => {
                self.counting.insert(id);
                return Ok(());
            }
            None => {}
        }
        if let Some(until) = self.open_until {
            if self.now < until {
                return Err(until - self.now);
            }
            self.open_until = None;
            self.half_open = true;
            self.counting.clear();
        }
        if self.half_open {
            if self.probe.is_some_and(|(_, since)| self.now < since + 60_000) {
                return Err(500);
            }
            self.counting.clear();
            self.probe = Some((id, self.now));
        }
        self.counting.insert(id);
        Ok(())
    }

    fn finish(&mut self, id: usize, end: Option<(bool, u64)>) {
        if !self.counting.remove(&id) || self.forced.is_some() {
            return;
        }
        match (end, self.half_open) {
            (None, true) => self.probe = None,
            (None, false) => {}
            (Some((true, _)), true) => self.reopen(),
            (Some((false, _)), true) => self.reset(),
            (Some((failed, took)), false) => {
                self.row = if failed { self.row + 1 } else { 0 };
                self.origin.get_or_insert(self.now);
                self.events.push_back((self.now, failed, took >= SLOW_MS));
                if self.must_open() {
                    self.reopen();
                }
            }
        }
    }

    fn reopen(&mut self) {
        let length = match self.outage {
            None => 500,
            Some((since, _)) if self.now - since < 30_000 => 900,
            Some((_, last)) => (last * 2).min(RECOVERY_MS),
        };
        self.outage = Some((self.outage.map_or(self.now, |(since, _)| since), length));
        self.open_until = Some(self.now + length);
        (self.row, self.half_open, self.probe) = (0, false, None);
        self.opened += 1;
        self.forget();
    }

    fn forget(&mut self) {
        self.counting.clear();
        self.events.clear();
        self.origin = None;
    }

    fn reset(&mut self) {
        (self.row, self.half_open, self.probe, self.open_until, self.outage) = (0, false, None, None, None);
        self.forget();
    }

    fn state(&self) -> State {
        match (self.forced, self.open_until, self.half_open) {
            (Some(true), ..) => State::ForcedClosed,
            (Some(false), ..) => State::ForcedOpen,
            (None, Some(_), _) => State::Open,
            (None, None, true) => State::HalfOpen,
            (None, None, false) => State::Closed,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2500))]

    #[test]
    fn any_run_of_calls_results_drops_and_clock_jumps_goes_as_in_the_reference(rules in rules(), ops in ops()) {
        let mut machine = Machine::new(rules);
        let start = Instant::now();
        let mut reference = Reference::new(rules);
        let mut tickets: Vec<Option<Ticket>> = Vec::new();

        for op in ops {
            let now = start + Duration::from_millis(reference.now);
            match op {
                Op::Admit => {
                    let (real, _) = machine.admit(now);
                    let expected = reference.admit(tickets.len());
                    prop_assert_eq!(
                        real.as_ref().map(|_| ()).map_err(|left| *left),
                        expected.map_err(Duration::from_millis)
                    );
                    tickets.push(real.ok());
                }
                Op::Finish(id, failed, took) => if let Some(ticket) = tickets.get_mut(id).and_then(Option::take) {
                    let done = Done { failed, took: Duration::from_millis(took) };
                    machine.finish(&ticket, now, done, || 0.0);
                    reference.finish(id, Some((failed, took)));
                },
                Op::Drop(id) => if let Some(ticket) = tickets.get_mut(id).and_then(Option::take) {
                    machine.release(&ticket);
                    reference.finish(id, None);
                },
                Op::Pass(millis) => reference.now += millis,
                Op::ForceOpen => {
                    machine.force_open();
                    reference.reset();
                    reference.forced = Some(false);
                }
                Op::ForceClosed => {
                    machine.force_closed();
                    reference.reset();
                    reference.forced = Some(true);
                }
                Op::Automatic => {
                    machine.automatic();
                    if reference.forced.take().is_some() {
                        reference.reset();
                    }
                }
            }
            prop_assert_eq!(machine.state(), reference.state());
            let snapshot = machine.snapshot(start + Duration::from_millis(reference.now));
            prop_assert_eq!(
                snapshot.open_since,
                reference.outage.map(|(since, _)| start + Duration::from_millis(since))
            );
            prop_assert_eq!(snapshot.opened, reference.opened);
            if rules.window.is_some() {
                let (calls, failures, slow) = reference.counts();
                let share = |part: u32| (calls > 0).then(|| f64::from(part) / f64::from(calls));
                prop_assert_eq!(
                    (snapshot.calls, snapshot.failure_rate, snapshot.slow_rate),
                    (calls, share(failures), share(slow))
                );
            }
        }
    }

    #[test]
    fn jitter_only_shortens_and_by_at_most_15_percent(jitter in 0.0_f64..=1.0, failures in 1_u32..20) {
        let mut machine = Machine::new(BreakerSettings::default());
        let mut now = Instant::now();
        let mut longest = Duration::ZERO;

        for _ in 0..4 {
            let (ticket, _) = machine.admit(now);
            machine.finish(&ticket.unwrap(), now, FAILED, || jitter);
        }
        for _ in 0..failures {
            let (ticket, _) = machine.admit(now);
            let change = machine.finish(&ticket.unwrap(), now, FAILED, || jitter);
            let open_for = change.unwrap().opens.unwrap().time;
            let full = machine.outage.unwrap().open_for;
            prop_assert!(open_for <= full && open_for >= full.mul_f64(0.85));
            longest = longest.max(open_for);
            now += open_for;
        }
        prop_assert!(longest <= Duration::from_mins(1));
    }
}

/// Keeps a dependency out and probes as soon as it may; the times between the probes.
fn probes(recovery: Duration, count: usize) -> Vec<u128> {
    let mut machine = Machine::new(BreakerSettings {
        recovery_timeout: recovery,
        ..brittle()
    });
    let mut now = Instant::now();
    let mut times = Vec::new();
    for _ in 0..count {
        let (ticket, _) = machine.admit(now);
        let change = fail(&mut machine, &ticket.unwrap(), now).unwrap();
        let open_for = change.opens.unwrap().time;
        times.push(open_for.as_millis());
        now += open_for;
    }
    times
}

#[test]
fn a_young_outage_is_probed_within_a_second_and_an_old_one_ever_more_rarely() {
    let times = probes(Duration::from_mins(1), 45);

    let young = times.iter().take_while(|time| **time <= 900).count();
    assert_eq!(times[0], 500);
    assert!(times[1..young].iter().all(|time| *time == 900));
    // 0.5 s and 33 times 0.9 s reach past the thirtieth second.
    assert_eq!(young, 1 + 33);
    assert_eq!(
        times[young..young + 8],
        [1800, 3600, 7200, 14_400, 28_800, 57_600, 60_000, 60_000]
    );
}

#[rstest]
#[case::young(29_999, 900)]
#[case::old(30_000, 1000)]
fn an_outage_is_young_for_thirty_seconds(#[case] age: u64, #[case] open_ms: u64) {
    let mut machine = Machine::new(brittle());
    let start = Instant::now();
    let (ticket, _) = machine.admit(start);
    fail(&mut machine, &ticket.unwrap(), start);

    let now = start + Duration::from_millis(age);
    let (ticket, _) = machine.admit(now);
    let change = fail(&mut machine, &ticket.unwrap(), now).unwrap();

    assert_eq!(change.opens.unwrap().time, Duration::from_millis(open_ms));
}

#[rstest]
#[case::shorter_than_every_step(200, [200, 200, 200])]
#[case::between_the_steps(700, [500, 700, 700])]
fn the_recovery_timeout_caps_every_time_open(#[case] recovery: u64, #[case] expected: [u128; 3]) {
    assert_eq!(probes(Duration::from_millis(recovery), 3), expected);
}

#[test]
fn one_success_closes_and_makes_the_next_outage_a_young_one() {
    let mut machine = Machine::new(brittle());
    let mut now = Instant::now();
    for _ in 0..40 {
        let (ticket, _) = machine.admit(now);
        now += fail(&mut machine, &ticket.unwrap(), now).unwrap().opens.unwrap().time;
    }

    let (ticket, _) = machine.admit(now);
    let closed = succeed(&mut machine, &ticket.unwrap(), now).unwrap();
    let (ticket, _) = machine.admit(now);
    let opened = fail(&mut machine, &ticket.unwrap(), now).unwrap();

    assert_eq!((closed.from, closed.to), (State::HalfOpen, State::Closed));
    assert_eq!(opened.opens.unwrap().time, FIRST_OPEN);
}

#[test]
fn a_probe_that_never_speaks_is_given_up_and_what_it_says_later_is_ignored() {
    let mut machine = Machine::new(brittle());
    let start = Instant::now();
    let (ticket, _) = machine.admit(start);
    fail(&mut machine, &ticket.unwrap(), start);
    let probing = start + FIRST_OPEN;
    let (silent, _) = machine.admit(probing);
    let silent = silent.unwrap();

    assert!(
        machine
            .admit(probing + PROBE_LEASE - Duration::from_nanos(1))
            .0
            .is_err()
    );
    let (second, _) = machine.admit(probing + PROBE_LEASE);

    assert_eq!(succeed(&mut machine, &silent, probing + PROBE_LEASE), None);
    machine.release(&silent);
    assert!(
        machine.admit(probing + PROBE_LEASE).0.is_err(),
        "the second probe still holds the place"
    );
    assert_eq!(
        succeed(&mut machine, &second.unwrap(), probing + PROBE_LEASE)
            .unwrap()
            .to,
        State::Closed
    );
}
