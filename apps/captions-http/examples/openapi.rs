//! Prints the OpenAPI document, for tools that read files.

use std::io::{Write, stdout};

fn main() -> anyhow::Result<()> {
    let document = serde_json::to_string_pretty(&captions_http::openapi())?;
    writeln!(stdout(), "{document}")?;
    Ok(())
}
