//! The wire contract, version 1: what the HTTP API and the command line read and write as JSON.
//!
//! Bodies come in as [`serde_json::Value`] and go through one reader that finds *all* that is wrong with them
//! ([`generate::parse`], [`batch::parse`], [`user::parse_new`], [`user::merge`]); what is right is decided by the domain's constructors
//! alone. Documents go out ([`caption::CaptionDocument`], [`user::UserDocument`], [`stream::StreamEvent`]), and failures
//! as [`problem::Problem`], whose one table of [`problem::Code`]s says what every failure means.
//!
//! Knows no server and no terminal.

mod fields;

pub mod batch;
pub mod caption;
pub mod check;
pub mod feedback;
pub mod generate;
pub mod hashtags;
pub mod history;
pub mod image;
pub mod key;
pub mod limits;
pub mod more;
pub mod options;
pub mod problem;
pub mod providers;
pub mod results;
pub mod rewrite;
pub mod schema;
pub mod score;
pub mod selection;
pub mod stream;
pub mod strict;
pub mod usage;
pub mod user;
pub mod voice;
