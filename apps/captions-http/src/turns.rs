//! How many requests of one caller are answered at the same moment: a flood of one leaves room for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use captions_domain::ports::QuotaKey;

/// The requests under way, by whose they are. Clones are the same. Counts only what has a limit.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<QuotaKey, u64>>>);

/// The right to be answered, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    key: QuotaKey,
    pub(crate) limit: u64,
    /// How many more could begin at once when this one did.
    pub(crate) left: u64,
}

impl Turns {
    /// A turn for this caller, of whom `limit` (0: as many as like) are answered at once; `Err` if they are.
    pub(crate) fn begin(&self, key: &QuotaKey, limit: u64) -> Result<Option<Arc<Turn>>, ()> {
        if limit == 0 {
            return Ok(None);
        }
        let mut all = self.all();
        let under_way = all.entry(key.clone()).or_default();
        if *under_way >= limit {
            return Err(());
        }
        *under_way += 1;
        Ok(Some(Arc::new(Turn {
            turns: self.clone(),
            key: key.clone(),
            limit,
            left: limit - *under_way,
        })))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<QuotaKey, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.turns.all();
        if let Some(under_way) = all.get_mut(&self.key) {
            *under_way -= 1;
            if *under_way == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_held_until_it_is_dropped_and_leaves_nothing_behind() {
        let turns = Turns::default();
        let (ana, ben) = (QuotaKey::new("test", "ana"), QuotaKey::new("test", "ben"));

        let one = turns.begin(&ana, 2).unwrap().unwrap();
        let two = turns.begin(&ana, 2).unwrap().unwrap();
        assert_eq!((one.left, two.left), (1, 0));
        assert!(turns.begin(&ana, 2).is_err());
        assert!(turns.begin(&ben, 2).is_ok() && turns.begin(&ana, 0).unwrap().is_none());

        let still = Arc::clone(&one);
        drop(one);
        assert!(turns.begin(&ana, 2).is_err(), "a clone holds it too");
        drop(still);
        drop(turns.begin(&ana, 2).unwrap());
        drop(two);
        assert!(turns.all().is_empty());
    }
}
