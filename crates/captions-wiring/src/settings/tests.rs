//! What people may set, and what they are told when it is wrong.

mod defaults;
mod layers;
mod providers;
mod secrets;

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{Loaded, Origin, SettingsError, Sources, load};

/// A machine of its own: an empty home, an empty folder, no environment besides HOME.
struct Machine {
    folder: TempDir,
    sources: Sources,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            cwd: folder.path().join("here"),
            ..Sources::default()
        };
        let machine = Self { folder, sources };
        fs::create_dir_all(&machine.sources.cwd).unwrap();
        let home = machine.path("home").display().to_string();
        machine.env("HOME", &home)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.sources.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file below the machine's folder.
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load(&self) -> Result<Loaded, SettingsError> {
        load(&self.sources)
    }

    fn loads(&self) -> Loaded {
        self.load().unwrap()
    }

    /// The message of the error, with those of its causes, and its debug form.
    fn fails(&self) -> String {
        let error = self.load().unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        format!("{text}\n{error:?}")
    }
}

/// `key = value (origin)` of one key.
fn shown(loaded: &Loaded, key: &str) -> String {
    let shown = loaded.show().iter().find(|shown| shown.key == key).unwrap();
    format!("{shown} ({})", shown.origin)
}

fn environment(name: &str) -> Origin {
    Origin::Environment(name.to_owned())
}
