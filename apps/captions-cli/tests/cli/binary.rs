use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use captions_testkit::llm::{FakeLlm, Turn};

use crate::support::Home;

/// The real program in a home of the test, with nothing of the surrounding environment.
fn captions(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captions"));
    command
        .args(args)
        .env_clear()
        .envs(&home.env)
        .current_dir(home.path())
        .stdin(Stdio::null());
    command
}

fn ended(mut child: Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_program_writes_a_caption() {
    let home = Home::new();

    let output = captions(&home, &["generate", "golden hour at our Lisbon cafe"])
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains('#'), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("written by template"),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_warning_of_the_log_is_shown_only_on_demand() {
    let server = FakeLlm::start().await;
    server.always(Turn::unavailable());
    let home = Home::new()
        .with_provider(&server.base_url())
        .with("CAPTIONS_API__BREAKER__FAILURE_THRESHOLD", "1");
    let stderr = async |args: &[&str]| {
        let mut command = captions(&home, args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };

    let usual = stderr(&["generate", "rain on the roof"]).await;
    let verbose = stderr(&["generate", "rain on the roof", "-v"]).await;

    assert!(usual.contains("degraded: ") && !usual.contains("WARN"), "{usual}");
    assert!(verbose.contains("WARN"), "{verbose}");
}

#[test]
fn empty_stdin_without_a_text_is_wrong_usage() {
    let output = captions(&Home::new(), &["generate"]).output().unwrap();

    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn an_argument_that_is_not_utf8_is_wrong_usage() {
    use std::os::unix::ffi::OsStrExt;

    let home = Home::new();
    let output = captions(&home, &["generate"])
        .arg(std::ffi::OsStr::from_bytes(b"caf\xE9"))
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("UTF-8"), "{output:?}");
}

#[test]
fn a_closed_stdout_is_quiet() {
    let home = Home::new();
    for args in [
        &["completions", "bash"][..],
        &["generate", "rain on the roof", "-q"],
        &["--help"],
    ] {
        let mut child = captions(&home, args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = child.stderr.take().unwrap();

        let status = ended(child);

        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let home = Home::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();

    let output = captions(&home, &["completions", "bash"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("stdout cannot be written"),
        "{output:?}"
    );
}

#[tokio::test]
async fn ctrl_c_cancels_the_call_and_ends_with_130() {
    let server = FakeLlm::start().await;
    server.always(Turn::silence());
    let home = Home::new().with_provider(&server.base_url());
    let child = captions(&home, &["generate", "golden hour at our Lisbon cafe"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server
        .until("the call reaches the provider", |server| server.count() == 1)
        .await;

    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let status = tokio::task::spawn_blocking(move || ended(child)).await.unwrap();

    assert!(interrupted.success());
    assert_eq!(status.code(), Some(130));
    server
        .until("the provider sees that the caller has gone", |server| {
            server.last().left_early().is_some()
        })
        .await;
}

#[test]
fn an_import_says_nothing_of_its_own_log() {
    let home = Home::new();
    home.file("export.csv", "posted_at,likes\n2026-10-01,3\n");

    let output = captions(&home, &["results", "import", "ana", "export.csv"])
        .output()
        .unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("created the user ana") && !said.contains("log"), "{said}");
}
