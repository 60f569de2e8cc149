//! What can be wrong with settings. No message repeats a value that may be a secret.

use std::path::PathBuf;

use super::Origin;

/// Why the settings cannot be used. All of them are for the operator to mend; none is worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{origin}: unknown key `{key}`; {}", hint(nearest.as_deref()))]
    UnknownKey {
        key: String,
        /// The known key that looks like it, if one does, spelled as it belongs in that place: a variable's name for the
        /// environment.
        nearest: Option<String>,
        origin: Origin,
    },
    #[error("{origin}: `{key}` must be: {rule}; it is {found}")]
    Invalid {
        key: String,
        rule: String,
        /// The value, or only its type where it may be a secret.
        found: String,
        origin: Origin,
    },
    #[error("{origin}: `{key}` {what}")]
    Contradiction { key: String, what: String, origin: Origin },
    #[error("{origin}: `{key}` names the variable {variable}, which is not set")]
    VariableUnset {
        key: String,
        variable: String,
        origin: Origin,
    },
    #[error("{origin}: the key that `{key}` names is empty or holds characters that no header may carry")]
    UnusableKey { key: String, origin: Origin },
    #[error("{origin}: what `{key}` names is no webhook secret: whsec_ and base64, several parted by spaces")]
    UnusableSecret { key: String, origin: Origin },
    #[error("the file {} cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        /// From 1.
        line: usize,
        message: String,
    },
    #[error("{origin}: `{key}`: the file {} cannot be read", path.display())]
    KeyFile {
        key: String,
        path: PathBuf,
        origin: Origin,
        #[source]
        source: std::io::Error,
    },
    #[error("there is no data folder: set HOME, XDG_DATA_HOME or database.url")]
    NoDataFolder,
    /// A key that has a rule and a default but no field, or the other way round: our own mistake.
    #[error("the settings do not fit together: {0}")]
    Mismatch(String),
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("the nearest known one is `{nearest}`"),
        None => "no known one is like it".to_owned(),
    }
}
