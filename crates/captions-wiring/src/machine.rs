//! A machine for tests: an empty home, an empty folder, no environment besides HOME.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use crate::settings::{Loaded, SettingsError, Sources, load};

pub(crate) struct Machine {
    folder: TempDir,
    pub(crate) sources: Sources,
}

impl Machine {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn flag(mut self, key: &str, value: &str) -> Self {
        self.sources.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file below the machine's folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, SettingsError> {
        load(&self.sources)
    }

    pub(crate) fn loads(&self) -> Loaded {
        self.load().unwrap()
    }

    /// The message of the error, with those of its causes, and its debug form.
    pub(crate) fn fails(&self) -> String {
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

/// Where a test's log is written to.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Writes what this thread logs to the page, until the guard is dropped.
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let page = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || page.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}
