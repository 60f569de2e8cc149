//! What people may set, and what they are told when it is wrong.

mod alerts;
mod defaults;
mod layers;
mod providers;
mod secrets;
mod v14;

use super::{Loaded, Origin};
use crate::machine::Machine;

/// `key = value (origin)` of one key.
fn shown(loaded: &Loaded, key: &str) -> String {
    let shown = loaded.show().iter().find(|shown| shown.key == key).unwrap();
    format!("{shown} ({})", shown.origin)
}

fn environment(name: &str) -> Origin {
    Origin::Environment(name.to_owned())
}
