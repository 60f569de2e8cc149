//! The rules of captions. Pure: no runtime, no driver, no environment, no clock, no file.
//!
//! Read it in the order of a request: [`request`] (what may be asked, the only validation), [`user`] (what is known
//! of the asker), [`brief`] (both merged), [`prompt`] (what a model is told), [`reply`] (what it answered),
//! [`caption`] (what people get), [`history`] (how it is found again), [`more`] (what is added to it later), [`engine`] (the walk from the first to the last).
//! [`rewrite`] is about captions that there are already.
//! The rules that judge a text are pure functions: [`platform`], [`text`], [`check`], [`phrases`], [`hashtags`], [`likeness`], [`polish`], [`quality`],
//! [`voice`], with what they look for: [`address`], [`bait`], [`cliche`], [`facts`], [`injection`], [`sentences`].
//! What the engine needs from outside are the [`ports`]; how they fail is in [`fault`]. Limits of rate are in
//! [`quota`], and how one asks for leave in [`limiter`]; who may call at all, in [`keys`]. Many requests that nobody waits
//! for are a [`batch`]; what tokens cost is [`money`], and how much of it one may spend a [`budget`]; what is done once, however often it is asked for, is in [`once`].

pub mod address;
pub mod alt;
pub mod answers;
pub mod bait;
pub mod batch;
pub mod brief;
pub mod budget;
pub mod caption;
pub mod check;
pub mod choice;
pub mod cliche;
pub mod context;
pub mod engagement;
pub mod engine;
pub mod evaluation;
pub mod facts;
pub mod fault;
mod given;
pub mod hashtags;
pub mod history;
pub mod image;
pub mod injection;
pub mod key;
pub mod keys;
mod lexicon;
pub mod likeness;
pub mod limiter;
pub mod money;
pub mod more;
pub mod once;
pub mod phrases;
pub mod platform;
pub mod polish;
pub mod ports;
pub mod prompt;
pub mod quality;
pub mod quota;
pub mod reply;
pub mod request;
pub mod rewrite;
pub mod sentences;
pub mod text;
pub mod usage;
pub mod user;
pub mod voice;
