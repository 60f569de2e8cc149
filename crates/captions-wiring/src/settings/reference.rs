//! The embedded defaults, and the page of documentation that is made from them.

use std::fmt::Write as _;

use super::{
    layers::variable_of,
    rule::{self, KEYS, PROVIDER_KEYS, SHORT_NAMES},
};

/// Every key with its default, commented.
pub const fn defaults_toml() -> &'static str {
    include_str!("../defaults.toml")
}

/// One key of the defaults.
pub(super) struct Entry {
    /// Dotted.
    pub(super) key: String,
    /// As written.
    pub(super) default: String,
    /// The comment without its last line.
    pub(super) effect: String,
    /// The comment's last line, without its brackets.
    pub(super) rule: String,
}

pub(super) struct Section {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) entries: Vec<Entry>,
}

/// Reads the defaults as a text, comments included. Lines are comments, `[section]`, `key = value` or empty.
pub(super) fn sections(defaults: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in defaults.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section {
                name: name.to_owned(),
                about: comment.join(" "),
                entries: Vec::new(),
            });
            comment.clear();
        } else if let (Some((key, default)), Some(section)) = (line.split_once(" = "), sections.last_mut()) {
            let rule = comment.pop().unwrap_or_default();
            section.entries.push(Entry {
                key: format!("{}.{key}", section.name),
                default: default.to_owned(),
                effect: comment.join(" "),
                rule: rule.trim_start_matches('(').trim_end_matches(')').to_owned(),
            });
            comment.clear();
        } else {
            comment.clear();
        }
    }
    sections
}

/// `docs/CONFIG.md`.
pub fn config_doc() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in sections(defaults_toml()) {
        line(
            &mut page,
            format_args!("\n## `[{}]`\n\n{}\n", section.name, section.about),
        );
        line(
            &mut page,
            format_args!("| key | default | rule | what it does |\n|---|---|---|---|"),
        );
        for Entry {
            key,
            default,
            effect,
            rule,
        } in section.entries
        {
            line(
                &mut page,
                format_args!("| `{key}` | `{default}` | {} | {} |", cell(&rule), cell(&effect)),
            );
        }
    }
    line(&mut page, format_args!("{PROVIDERS}"));
    for (key, rule, effect) in PROVIDER_KEYS {
        line(
            &mut page,
            format_args!("| `{key}` | {} | {} |", cell(&rule.to_string()), cell(effect)),
        );
    }
    line(&mut page, format_args!("{VARIABLES}"));
    for (name, key) in SHORT_NAMES {
        if rule::of(KEYS, key).is_some() {
            line(
                &mut page,
                format_args!("| `{name}` | `{key}` | `{}` |", variable_of(key)),
            );
        }
    }
    page.push_str(LAST);
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const INTRODUCTION: &str = "\
# Settings

<!-- Generated from crates/captions-wiring/src/defaults.toml:
     cargo run -p captions-wiring --example config_doc > docs/CONFIG.md -->

Nothing needs to be set: without any setting Captions keeps an SQLite file in the data folder, caches in memory and
writes with the local model. Settings come from these layers, each over the ones before it:

1. the defaults below (`crates/captions-wiring/src/defaults.toml`, built into the program);
2. one file: that of `--config` or else of `CAPTIONS_CONFIG`, else `captions.toml` in the current folder, else
   `$XDG_CONFIG_HOME/captions/config.toml` (`~/.config/captions/config.toml`);
3. the environment: `CAPTIONS_` and the key in capitals, with `__` for each dot (`CAPTIONS_SERVER__LISTEN`), and the short
   names below;
4. flags.

`captions config show --origin` prints every effective value and where it came from. An unknown key, in any layer, is an
error that names a known one like it, if there is one; so is a value that breaks its rule. Passwords and keys are never printed.
Times are in seconds. Relative paths start from the current folder. [`v14.toml`](v14.toml) is a preset with the values of the
specification that Captions was made from.
";

const PROVIDERS: &str = "
## `[[llm.providers]]`

One table per provider, tried in order. `OPENAI_API_KEY` or `OPENAI_BASE_URL` put a provider named `openai` before the
list, with the model of `OPENAI_MODEL` (left out: the first that it lists) and, without `OPENAI_BASE_URL`, at
`https://api.openai.com/v1`; a listed provider of that name stands instead of it. With no provider at all there is one of kind
`local` named `local-smollm2`.

```toml
[[llm.providers]]
name = \"primary\"
kind = \"openai\"
base_url = \"http://127.0.0.1:9100/v1\"
model = \"some-model\"
api_key_env = \"PRIMARY_KEY\"

[[llm.providers]]
name = \"last-resort\"
kind = \"local\"
```

| key | rule | what it does |
|---|---|---|";

const VARIABLES: &str = "
## Short names in the environment

An empty variable counts as unset. Where both are set, the `CAPTIONS_` name wins.

| variable | key | the same as |
|---|---|---|";

const LAST: &str = "| `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_MODEL` | a provider named `openai`, see above | |
| `CAPTIONS_URL`, `CAPTIONS_API_KEY`, `CAPTIONS_API_KEY_FILE` | no settings: the server that the command line asks (`--server`), the key for it, or a file that holds the key | |
";
