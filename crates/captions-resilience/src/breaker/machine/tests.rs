//! The machine against a reference that is written another way: it keeps the set of tickets that still count.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;

const THRESHOLD: u32 = 3;
const RECOVERY_MS: u64 = 60_000;

#[derive(Debug, Clone)]
enum Op {
    Admit,
    /// The ticket at this place of all ever given, if it has not been handed in.
    Succeed(usize),
    Fail(usize),
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
        Just(29_999),
        Just(60_000),
        Just(86_400_000),
    ];
    let op = prop_oneof![
        8 => Just(Op::Admit),
        4 => (0_usize..60).prop_map(Op::Succeed),
        8 => (0_usize..60).prop_map(Op::Fail),
        2 => (0_usize..60).prop_map(Op::Drop),
        6 => jump.prop_map(Op::Pass),
        1 => prop_oneof![Just(Op::ForceOpen), Just(Op::ForceClosed), Just(Op::Automatic)],
    ];
    vec(op, 1..150)
}

#[derive(Debug, Default)]
struct Reference {
    now: u64,
    counting: HashSet<usize>,
    row: u32,
    open_until: Option<u64>,
    half_open: bool,
    probe: Option<(usize, u64)>,
    forced: Option<bool>,
    outage: Option<(u64, u64)>,
}

impl Reference {
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

    fn finish(&mut self, id: usize, verdict: Option<bool>) {
        if !self.counting.remove(&id) || self.forced.is_some() {
            return;
        }
        let probing = self.half_open;
        match verdict {
            None if probing => self.probe = None,
            None => {}
            Some(true) => {
                self.row = 0;
                if probing {
                    self.reset();
                }
            }
            Some(false) => {
                self.row += 1;
                if probing || self.row == THRESHOLD {
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
        self.counting.clear();
    }

    fn reset(&mut self) {
        (self.row, self.half_open, self.probe, self.open_until, self.outage) = (0, false, None, None, None);
        self.counting.clear();
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
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_run_of_calls_results_drops_and_clock_jumps_goes_as_in_the_reference(ops in ops()) {
        let mut machine = Machine::new(BreakerSettings {
            failure_threshold: THRESHOLD,
            recovery_timeout: Duration::from_millis(RECOVERY_MS),
        });
        let start = Instant::now();
        let mut reference = Reference::default();
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
                Op::Succeed(id) => if let Some(ticket) = tickets.get_mut(id).and_then(Option::take) {
                    machine.succeed(&ticket);
                    reference.finish(id, Some(true));
                },
                Op::Fail(id) => if let Some(ticket) = tickets.get_mut(id).and_then(Option::take) {
                    machine.fail(&ticket, now, || 0.0);
                    reference.finish(id, Some(false));
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
            prop_assert_eq!(
                machine.snapshot(start).open_since,
                reference.outage.map(|(since, _)| start + Duration::from_millis(since))
            );
        }
    }

    #[test]
    fn jitter_only_shortens_and_by_at_most_15_percent(jitter in 0.0_f64..=1.0, failures in 1_u32..20) {
        let mut machine = Machine::new(BreakerSettings::default());
        let mut now = Instant::now();
        let mut longest = Duration::ZERO;

        for _ in 0..4 {
            let (ticket, _) = machine.admit(now);
            machine.fail(&ticket.unwrap(), now, || jitter);
        }
        for _ in 0..failures {
            let (ticket, _) = machine.admit(now);
            let open_for = machine.fail(&ticket.unwrap(), now, || jitter).unwrap().open_for.unwrap();
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
        failure_threshold: 1,
        recovery_timeout: recovery,
    });
    let mut now = Instant::now();
    let mut times = Vec::new();
    for _ in 0..count {
        let (ticket, _) = machine.admit(now);
        let change = machine.fail(&ticket.unwrap(), now, || 0.0).unwrap();
        let open_for = change.open_for.unwrap();
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
    let mut machine = Machine::new(BreakerSettings {
        failure_threshold: 1,
        ..BreakerSettings::default()
    });
    let start = Instant::now();
    let (ticket, _) = machine.admit(start);
    machine.fail(&ticket.unwrap(), start, || 0.0);

    let now = start + Duration::from_millis(age);
    let (ticket, _) = machine.admit(now);
    let change = machine.fail(&ticket.unwrap(), now, || 0.0).unwrap();

    assert_eq!(change.open_for, Some(Duration::from_millis(open_ms)));
}

#[rstest]
#[case::shorter_than_every_step(200, [200, 200, 200])]
#[case::between_the_steps(700, [500, 700, 700])]
fn the_recovery_timeout_caps_every_time_open(#[case] recovery: u64, #[case] expected: [u128; 3]) {
    assert_eq!(probes(Duration::from_millis(recovery), 3), expected);
}

#[test]
fn one_success_closes_and_makes_the_next_outage_a_young_one() {
    let mut machine = Machine::new(BreakerSettings {
        failure_threshold: 1,
        ..BreakerSettings::default()
    });
    let mut now = Instant::now();
    for _ in 0..40 {
        let (ticket, _) = machine.admit(now);
        now += machine.fail(&ticket.unwrap(), now, || 0.0).unwrap().open_for.unwrap();
    }

    let (ticket, _) = machine.admit(now);
    let closed = machine.succeed(&ticket.unwrap()).unwrap();
    let (ticket, _) = machine.admit(now);
    let opened = machine.fail(&ticket.unwrap(), now, || 0.0).unwrap();

    assert_eq!((closed.from, closed.to), (State::HalfOpen, State::Closed));
    assert_eq!(opened.open_for, Some(FIRST_OPEN));
}

#[test]
fn a_probe_that_never_speaks_is_given_up_and_what_it_says_later_is_ignored() {
    let mut machine = Machine::new(BreakerSettings {
        failure_threshold: 1,
        ..BreakerSettings::default()
    });
    let start = Instant::now();
    let (ticket, _) = machine.admit(start);
    machine.fail(&ticket.unwrap(), start, || 0.0);
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

    assert_eq!(machine.succeed(&silent), None);
    machine.release(&silent);
    assert!(
        machine.admit(probing + PROBE_LEASE).0.is_err(),
        "the second probe still holds the place"
    );
    assert_eq!(machine.succeed(&second.unwrap()).unwrap().to, State::Closed);
}
