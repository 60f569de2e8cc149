//! A home of its own for every test, and a run of the command line in it.

use std::{collections::BTreeMap, ffi::OsString, fs, io::Cursor, path::Path};

use captions_cli::{Process, Sink, run};
use serde_json::Value;
use tempfile::TempDir;

/// What one run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The JSON document that stdout is, and nothing else.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ended_with(self, code: u8) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// stderr holds these words.
    #[track_caller]
    pub(crate) fn said(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "no {words:?} in {self:?}");
        self
    }
}

/// An empty home with an SQLite store and, instead of a model, the template writer.
pub(crate) struct Home {
    folder: TempDir,
    pub(crate) env: BTreeMap<String, String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let below = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let env = BTreeMap::from([
            ("HOME".to_owned(), below("")),
            ("XDG_DATA_HOME".to_owned(), below("data")),
            ("XDG_CACHE_HOME".to_owned(), below("cache")),
            ("XDG_CONFIG_HOME".to_owned(), below("config")),
        ]);
        Self { folder, env }.with(
            "CAPTIONS_LLM__PROVIDERS",
            r#"[{ name = "template", kind = "template" }]"#,
        )
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// A provider at this URL instead of the template, without retries that would only take time.
    pub(crate) fn with_provider(self, base_url: &str) -> Self {
        let provider =
            format!(r#"[{{ name = "primary", kind = "openai", base_url = "{base_url}", model = "fake-model" }}]"#);
        self.with("CAPTIONS_LLM__PROVIDERS", &provider)
            .with("CAPTIONS_API__MAX_ATTEMPTS", "1")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path().join(name), content).unwrap();
        self
    }

    /// One call with nothing piped in.
    pub(crate) async fn call(&self, args: &[&str]) -> Run {
        self.started(args, None, Sink::Plain).await
    }

    /// One call with these bytes piped in.
    pub(crate) async fn piped(&self, args: &[&str], stdin: &[u8]) -> Run {
        self.started(args, Some(stdin), Sink::Plain).await
    }

    /// One call at a terminal.
    pub(crate) async fn at_a_terminal(&self, args: &[&str]) -> Run {
        self.started(args, None, Sink::Terminal { size: Some((40, 80)) }).await
    }

    async fn started(&self, args: &[&str], stdin: Option<&[u8]>, sink: Sink) -> Run {
        captions_wiring::install_crypto();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut input = Cursor::new(stdin.unwrap_or_default().to_vec());
        let process = Process {
            args: std::iter::once("captions")
                .chain(args.iter().copied())
                .map(OsString::from)
                .collect(),
            env: self.env.clone(),
            cwd: self.path().to_owned(),
            stdin: &mut input,
            stdin_is_terminal: stdin.is_none(),
            stdout: (&mut stdout, sink),
            stderr: (&mut stderr, sink),
            log: false,
        };
        let exit = Box::pin(run(process, std::future::pending())).await;
        Run {
            code: exit.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}
