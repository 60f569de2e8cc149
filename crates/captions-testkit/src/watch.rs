//! Ends a server process when the test process ends without doing so itself: killed, aborted, or a `static` never dropped.
#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// A small shell that waits on a pipe from us. The pipe closes when we are gone, whatever the reason; then it kills
/// the process and removes its folder.
///
/// A pipe, because the kernel's own parent-death signal is tied to the *thread* that started the child, and test threads end.
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over the process `id`, which keeps its files in `folder`.
    pub(crate) fn over(id: u32, folder: &Path) -> Self {
        Self::with_ending(r#"kill -KILL "$1""#, id, folder)
    }

    /// The same, for a process that has to be ended in its own way: shell commands about the process `$1`.
    pub(crate) fn with_ending(ending: &str, id: u32, folder: &Path) -> Self {
        let script = format!(r#"read -r word; [ "$word" = dismissed ] || {{ {ending}; rm -rf "$2"; }}"#);
        let mut shell = Command::new("sh")
            .args(["-c", &script, "watchdog"])
            .arg(id.to_string())
            .arg(folder)
            // Its own group: a signal to the group of the tests must not take the watchdog along.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell to watch over a server");
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    /// The process has ended: its id may soon belong to somebody else.
    pub(crate) fn dismiss(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // Fails only if the shell is gone, and then there is nobody to dismiss.
            drop(pipe.write_all(b"dismissed\n"));
        }
        drop(self.shell.wait());
    }

    /// What the end of our process does: closes the pipe without a word.
    #[cfg(test)]
    pub(crate) fn abandon(mut self) {
        drop(self.pipe.take());
        drop(self.shell.wait());
    }
}
