use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;
use crate::samples::ms;

const INTERACTIVE: Class = Class::Interactive;
const BATCH: Class = Class::Batch;

/// A line of one place that is taken.
fn taken(length: usize) -> Line<&'static str> {
    let mut line = Line::new(1, length);
    assert!(line.enter());
    line
}

fn wait(line: &mut Line<&'static str>, class: Class, name: &'static str) -> Ticket {
    match line.queue(class, name) {
        Queued::Waits(ticket, None) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Everybody in the order of service.
fn served(line: &mut Line<&'static str>) -> Vec<&'static str> {
    let mut order = Vec::new();
    loop {
        line.release(ms(1));
        let Some(name) = line.next() else {
            return order;
        };
        order.push(name);
    }
}

#[test]
fn interactive_callers_come_first_and_each_class_in_the_order_of_coming() {
    let mut line = taken(9);
    for (class, name) in [(BATCH, "b1"), (INTERACTIVE, "i1"), (BATCH, "b2"), (INTERACTIVE, "i2")] {
        wait(&mut line, class, name);
    }

    assert_eq!(served(&mut line), ["i1", "i2", "b1", "b2"]);
}

#[test]
fn a_batch_has_every_fifth_turn_while_both_wait() {
    let mut line = taken(99);
    for name in ["b1", "b2"] {
        wait(&mut line, BATCH, name);
    }
    for name in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        wait(&mut line, INTERACTIVE, name);
    }

    let order = served(&mut line);

    assert_eq!(order, ["1", "2", "3", "4", "b1", "5", "6", "7", "8", "b2", "9"]);
}

#[test]
fn a_batch_that_comes_late_does_not_profit_from_turns_before_it() {
    let mut line = taken(9);
    for name in ["1", "2", "3"] {
        wait(&mut line, INTERACTIVE, name);
    }
    line.release(ms(1));
    assert_eq!(line.next(), Some("1"));
    wait(&mut line, BATCH, "b");
    line.release(ms(1));

    assert_eq!(line.next(), Some("2"));
}

#[test]
fn in_a_full_line_the_youngest_batch_makes_room_for_an_interactive_caller_and_for_nobody_else() {
    let mut line = taken(2);
    wait(&mut line, BATCH, "old");
    wait(&mut line, BATCH, "young");

    assert_eq!(line.queue(BATCH, "third"), Queued::Full("third"));
    assert!(matches!(line.queue(INTERACTIVE, "i1"), Queued::Waits(_, Some("young"))));
    assert!(matches!(line.queue(INTERACTIVE, "i2"), Queued::Waits(_, Some("old"))));
    assert_eq!(line.queue(INTERACTIVE, "i3"), Queued::Full("i3"));

    assert_eq!(served(&mut line), ["i1", "i2"]);
}

#[rstest]
#[case::nobody_before(0, 4, 25)]
#[case::three_before(3, 4, 100)]
#[case::one_at_a_time(3, 1, 400)]
fn the_wait_is_the_mean_time_of_a_call_for_each_round_before(
    #[case] waiting: usize,
    #[case] limit: usize,
    #[case] millis: u64,
) {
    let mut line = Line::new(limit, 9);
    for _ in 0..limit {
        line.enter();
    }
    for _ in 0..waiting {
        wait(&mut line, INTERACTIVE, "one");
    }
    assert_eq!(line.wait(), ms(0), "nothing is known yet");

    line.release(ms(100));
    line.release(ms(100));

    assert_eq!(line.wait(), ms(millis));
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Come(Class),
    /// Leave, whoever waits at this place.
    Leave(usize),
    End,
    Limit(usize),
}

/// The same by the rules alone: everybody in one list, in the order of coming.
struct Model {
    limit: usize,
    length: usize,
    in_flight: usize,
    waiting: Vec<(Class, u32)>,
    passed_over: u32,
}

impl Model {
    fn serve(&mut self) -> Vec<u32> {
        let mut served = Vec::new();
        while self.in_flight < self.limit && !self.waiting.is_empty() {
            let first = |class| self.waiting.iter().position(|(one, _)| *one == class);
            let (interactive, batch) = (first(INTERACTIVE), first(BATCH));
            let place = match (interactive, batch) {
                (Some(_), Some(batch)) if self.passed_over == 4 => batch,
                (Some(interactive), _) => interactive,
                (None, batch) => batch.unwrap(),
            };
            let (class, who) = self.waiting.remove(place);
            self.passed_over = if class == INTERACTIVE { self.passed_over + 1 } else { 0 };
            self.settle();
            self.in_flight += 1;
            served.push(who);
        }
        served
    }

    fn settle(&mut self) {
        if self.waiting.iter().all(|(class, _)| *class == INTERACTIVE) {
            self.passed_over = 0;
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Come(INTERACTIVE)),
        4 => Just(Op::Come(BATCH)),
        2 => (0_usize..12).prop_map(Op::Leave),
        6 => Just(Op::End),
        1 => (1_usize..5).prop_map(Op::Limit),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_rules_say(ops in vec(op(), 1..300), limit in 1_usize..4, length in 0_usize..8) {
        let mut line = Line::new(limit, length);
        let mut model = Model { limit, length, in_flight: 0, waiting: Vec::new(), passed_over: 0 };
        let mut tickets = std::collections::HashMap::new();
        let mut names = 0;
        for op in ops {
            match op {
                Op::Come(class) => {
                    names += 1;
                    if model.in_flight < model.limit {
                        model.in_flight += 1;
                        prop_assert!(line.enter());
                        continue;
                    }
                    prop_assert!(!line.enter());
                    let is_full = model.waiting.len() >= model.length;
                    let youngest = model.waiting.iter().rposition(|(one, _)| *one == BATCH);
                    let displaced = youngest.filter(|_| is_full && class == INTERACTIVE);
                    if is_full && displaced.is_none() {
                        prop_assert_eq!(line.queue(class, names), Queued::Full(names));
                        continue;
                    }
                    let displaced = displaced.map(|place| model.waiting.remove(place).1);
                    model.waiting.push((class, names));
                    model.settle();
                    match line.queue(class, names) {
                        Queued::Waits(ticket, gone) => {
                            prop_assert_eq!(gone, displaced);
                            tickets.insert(names, ticket);
                        }
                        Queued::Full(_) => prop_assert!(false, "there was room"),
                    }
                }
                Op::Leave(place) => {
                    if place < model.waiting.len() {
                        let (_, who) = model.waiting.remove(place);
                        model.settle();
                        prop_assert_eq!(line.leave(tickets[&who]), Some(who));
                        prop_assert_eq!(line.leave(tickets[&who]), None);
                    }
                }
                Op::End => {
                    if model.in_flight > 0 {
                        model.in_flight -= 1;
                        line.release(ms(5));
                    }
                }
                Op::Limit(limit) => {
                    model.limit = limit;
                    line.set_limit(limit);
                }
            }
            let served = model.serve();
            prop_assert_eq!(std::iter::from_fn(|| line.next()).collect::<Vec<_>>(), served);
            prop_assert_eq!(line.in_flight(), model.in_flight);
            let waiting = line.waiting_of(INTERACTIVE) + line.waiting_of(BATCH);
            prop_assert_eq!(waiting, model.waiting.len());
        }
    }
}
