//! Who is served next: the places of the calls under way and the line before them. No clock, no lock, no tasks of its own.

use std::{collections::VecDeque, time::Duration};

use captions_domain::context::Class;

/// While both classes wait, every so-manyth turn is a batch's: it comes last, but it does not starve.
pub(super) const BATCH_TURN: u32 = 5;
/// The weight of the newest call in the mean time of a call.
const NEWEST: u32 = 8;

/// A place in the line, as [`Line::leave`] wants it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    class: Class,
    number: u64,
}

/// What became of a caller that could not be served at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued<T> {
    /// It waits. The other one is the caller that had to leave the line for it.
    Waits(Ticket, Option<T>),
    /// There was no place; here it is back.
    Full(T),
}

/// Calls under way, and callers that wait, each with whatever it is to be called by.
///
/// Whoever frees or adds a place asks for [`Line::next`] until there is none, before anybody else may come: so nobody waits
/// while a place is free.
#[derive(Debug)]
pub(super) struct Line<T> {
    limit: usize,
    /// The most that may wait, over both classes.
    length: usize,
    in_flight: usize,
    interactive: VecDeque<(u64, T)>,
    batch: VecDeque<(u64, T)>,
    numbers: u64,
    /// Interactive turns since a batch that waited had its last one.
    passed_over: u32,
    mean: Duration,
}

impl<T> Line<T> {
    /// Nobody in it. A limit of 0 acts as 1.
    pub(super) fn new(limit: usize, length: usize) -> Self {
        Self {
            limit: limit.max(1),
            length,
            in_flight: 0,
            interactive: VecDeque::new(),
            batch: VecDeque::new(),
            numbers: 0,
            passed_over: 0,
            mean: Duration::ZERO,
        }
    }

    /// Takes a place for a call if one is free.
    pub(super) fn enter(&mut self) -> bool {
        let is_free = self.in_flight < self.limit;
        self.in_flight += usize::from(is_free);
        is_free
    }

    /// Puts a caller at the end of its class. If the line is full, the youngest batch leaves it for an interactive caller.
    pub(super) fn queue(&mut self, class: Class, caller: T) -> Queued<T> {
        let mut displaced = None;
        if self.waiting() >= self.length {
            if class == Class::Interactive {
                displaced = self.batch.pop_back().map(|(_, caller)| caller);
                self.forget_passing_over();
            }
            if displaced.is_none() {
                return Queued::Full(caller);
            }
        }
        let number = self.numbers;
        self.numbers += 1;
        self.of(class).push_back((number, caller));
        Queued::Waits(Ticket { class, number }, displaced)
    }

    /// Takes a caller out of the line; `None` if it is not in it any more.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<T> {
        let waiting = self.of(ticket.class);
        let place = waiting.binary_search_by_key(&ticket.number, |(number, _)| *number);
        let caller = place.ok().and_then(|place| waiting.remove(place));
        self.forget_passing_over();
        caller.map(|(_, caller)| caller)
    }

    /// A call is over; it held its place for `held`.
    pub(super) fn release(&mut self, held: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let held = held.min(Duration::from_hours(1));
        self.mean = if self.mean.is_zero() {
            held
        } else {
            // Below an hour the nanoseconds fit, and this is quicker than a Duration's own division.
            let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            Duration::from_nanos((nanos(self.mean) * (u64::from(NEWEST) - 1) + nanos(held)) / u64::from(NEWEST))
        };
    }

    /// Allows so many calls at once from now on; those under way go on. 0 acts as 1.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// Takes a free place for whoever is served next.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.in_flight >= self.limit {
            return None;
        }
        let is_batchs_turn = self.interactive.is_empty() || self.passed_over + 1 >= BATCH_TURN;
        let class = if is_batchs_turn && !self.batch.is_empty() {
            Class::Batch
        } else {
            Class::Interactive
        };
        let (_, caller) = self.of(class).pop_front()?;
        self.in_flight += 1;
        match class {
            Class::Batch => self.passed_over = 0,
            Class::Interactive => self.passed_over += 1,
        }
        self.forget_passing_over();
        Some(caller)
    }

    /// About how long it takes until somebody who comes now would be served; zero while no call has ended yet.
    pub(super) fn wait(&self) -> Duration {
        let ahead = u32::try_from(self.waiting() + 1).unwrap_or(u32::MAX);
        let at_once = u32::try_from(self.limit).unwrap_or(u32::MAX);
        self.mean.saturating_mul(ahead) / at_once
    }

    /// The most calls at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Calls under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Callers of a class that wait.
    pub(super) fn waiting_of(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.len(),
            Class::Batch => self.batch.len(),
        }
    }

    fn waiting(&self) -> usize {
        self.interactive.len() + self.batch.len()
    }

    fn of(&mut self, class: Class) -> &mut VecDeque<(u64, T)> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Batch => &mut self.batch,
        }
    }

    /// With no batch in the line nobody is passed over.
    fn forget_passing_over(&mut self) {
        if self.batch.is_empty() {
            self.passed_over = 0;
        }
    }
}

#[cfg(test)]
mod tests;
