//! Variants that come later, put into the JSON of a stored caption in one statement.

use captions_domain::{
    fault::{Fault, FaultKind},
    more::More,
};

/// The list `$list` at `$root` in the JSON of `$column`, with `$new` at its end: elements with commas between them.
macro_rules! longer {
    ($column:literal, $root:literal, $list:literal, $new:literal) => {
        concat!(
            "json('[' || coalesce(nullif(substr(",
            $column,
            " -> '",
            $root,
            $list,
            "', 2, length(",
            $column,
            " -> '",
            $root,
            $list,
            "') - 2), '') || ',', '') || ",
            $new,
            " || ']')"
        )
    };
}

/// The JSON of `$column`, which has the caption at `$root`, with the variants `?4` and their addition `?5`.
macro_rules! grown {
    ($column:literal, $root:literal) => {
        concat!(
            "json_set(",
            $column,
            ", '",
            $root,
            ".variants', ",
            $crate::sqlite::more::longer!($column, $root, ".variants", "?4"),
            ", '",
            $root,
            ".additions', ",
            $crate::sqlite::more::longer!($column, $root, ".additions", "?5"),
            ")"
        )
    };
}

/// True if the addition `?6` is not in it yet.
macro_rules! is_new {
    ($column:literal, $root:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM json_each(",
            $column,
            ", '",
            $root,
            ".additions') WHERE value ->> 'id' = ?6)"
        )
    };
}

pub(crate) use {grown, is_new, longer};

/// What the statement is given: the variants, the addition, its id, and what the variants are found by.
pub(crate) struct Added {
    pub(crate) variants: String,
    pub(crate) addition: String,
    pub(crate) id: String,
    pub(crate) searched: String,
}

impl Added {
    pub(crate) fn new(more: &More) -> Result<Self, Fault> {
        let unwritable = |error| Fault::because(FaultKind::Internal, error);
        let variants = serde_json::to_string(&more.variants).map_err(unwritable)?;
        let texts: Vec<&str> = more.variants.iter().map(|variant| variant.text.as_str()).collect();
        Ok(Self {
            // Without its brackets.
            variants: variants[1..variants.len() - 1].to_owned(),
            addition: serde_json::to_string(&more.addition).map_err(unwritable)?,
            id: more.addition.id.to_string(),
            searched: texts.join("\n").to_lowercase(),
        })
    }
}
