//! What a run leaves behind, so that it can be gone on with: which batch an output belongs to, and the output itself.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use captions_api::batch::{Submission, result_line};
use captions_domain::batch::Outcome;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Surroundings, exit::Exit, failure::Failure};

/// Where the batch of an output is written down.
pub(super) struct Journal(PathBuf);

#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    /// The batch; at a server the key under which it is submitted.
    pub(super) batch: Uuid,
    /// A digest of the items that it was begun with.
    input: String,
    /// What the server calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_server: Option<Uuid>,
}

impl Journal {
    /// The one of this output, in the state folder. Another server is another journal.
    pub(super) fn of(out: &Path, server: Option<&str>, surroundings: &Surroundings) -> Result<Self, Failure> {
        let folder = |name: &str| {
            surroundings
                .env
                .get(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
        let state = state.ok_or_else(|| {
            Failure::new(Exit::Settings, None, "there is no folder for what is being worked on")
                .next("set HOME or XDG_STATE_HOME")
        })?;
        let mut name = blake3::Hasher::new();
        name.update(out.as_os_str().as_encoded_bytes());
        if let Some(server) = server {
            name.update(b"\0").update(server.as_bytes());
        }
        let name = name.finalize().to_hex();
        Ok(Self(
            state.join("captions/batches").join(format!("{}.json", &name[..16])),
        ))
    }

    /// The batch to work on: the one that this output was begun with, or a new one.
    pub(super) fn enter(&self, out: &Path, submission: &Submission, resumes: bool) -> Result<Entry, Failure> {
        let input = digest(submission);
        let shown = out.display();
        if out.exists() {
            if !resumes {
                return Err(Failure::usage(format!("{shown} exists"))
                    .next("--resume goes on with it; name another output to begin anew"));
            }
            let Some(entry) = self.read()? else {
                return Err(Failure::usage(format!("nothing is known of how {shown} was begun"))
                    .next("name another output to begin anew"));
            };
            if entry.input != input {
                return Err(Failure::usage(format!("{shown} was begun with other items"))
                    .next("go on with those, or name another output to begin anew"));
            }
            return Ok(entry);
        }
        // A run that was stopped before it had written anything.
        if let Some(entry) = self.read()?.filter(|entry| resumes && entry.input == input) {
            return Ok(entry);
        }
        let entry = Entry {
            batch: Uuid::now_v7(),
            input,
            at_server: None,
        };
        self.keep(&entry)?;
        Ok(entry)
    }

    pub(super) fn keep(&self, entry: &Entry) -> Result<(), Failure> {
        self.write(entry).map_err(|error| {
            Failure::new(
                Exit::Failure,
                None,
                format!("{} cannot be written: {error}", self.0.display()),
            )
        })
    }

    fn read(&self) -> Result<Option<Entry>, Failure> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(
                Exit::Failure,
                None,
                format!("{} cannot be read: {error}", self.0.display()),
            )),
        }
    }

    /// Whole or not at all.
    fn write(&self, entry: &Entry) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        let beside = self.0.with_extension("new");
        fs::write(&beside, serde_json::to_vec(entry)?)?;
        fs::rename(beside, &self.0)
    }
}

fn digest(submission: &Submission) -> String {
    let mut hasher = blake3::Hasher::new();
    for item in &submission.items {
        for part in [&item.custom_id, &item.request] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// The output: whole lines, in order.
pub(super) struct Out {
    file: File,
    path: PathBuf,
    /// The index of its last line.
    pub(super) last: Option<u32>,
}

impl Out {
    /// Goes on after the last whole line, or begins `anew`.
    pub(super) fn open(path: &Path, anew: bool) -> Result<Self, Failure> {
        let wrong = |error: io::Error| Failure::new(Exit::Failure, None, format!("{}: {error}", path.display()));
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(anew)
            .open(path);
        let mut file = opened.map_err(wrong)?;
        let mut kept = Vec::new();
        file.read_to_end(&mut kept).map_err(wrong)?;
        // What was being written when a run was stopped is no line.
        let whole = kept
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |place| place + 1);
        file.set_len(whole as u64).map_err(wrong)?;
        file.seek(SeekFrom::End(0)).map_err(wrong)?;
        let lines = kept[..whole].split_inclusive(|byte| *byte == b'\n').count();
        Ok(Self {
            file,
            path: path.to_owned(),
            last: u32::try_from(lines).ok().and_then(|lines| lines.checked_sub(1)),
        })
    }

    /// Adds the lines of these outcomes, which follow on the last one.
    pub(super) fn append(&mut self, outcomes: &[Outcome]) -> Result<(), Failure> {
        let mut text = String::new();
        for outcome in outcomes {
            text.push_str(&result_line(outcome));
            text.push('\n');
        }
        self.write(&text, outcomes.last().map(|outcome| outcome.index))
    }

    /// Adds these whole lines, of which the last has the index `last`.
    pub(super) fn write(&mut self, text: &str, last: Option<u32>) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Failure::new(
                Exit::Failure,
                None,
                format!("{} cannot be written: {error}", self.path.display()),
            )
            .next("next: make room, then --resume")
        })?;
        self.last = last.or(self.last);
        Ok(())
    }
}
