//! Prints `docs/CONFIG.md`.
#![expect(clippy::print_stdout, reason = "printing the page is all that it does")]

fn main() {
    print!("{}", captions_wiring::settings::config_doc());
}
