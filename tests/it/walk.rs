//! Every command that docs/API.md prints works as it is printed, in the order in which it stands there.

use std::process::Command;

use crate::support::Service;

const PAGE: &str = include_str!("../../docs/API.md");
/// Where the page says that the server is.
const PRINTED: &str = "http://127.0.0.1:8080";

/// The commands, each with what it is to print, if the page says so.
fn commands() -> Vec<(String, Option<String>)> {
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    let mut fence = None;
    for line in PAGE.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some("bash")) => {
                commands.push((String::new(), None));
                fence = Some("bash");
            }
            (None, Some("text")) if !commands.is_empty() => {
                commands.last_mut().unwrap().1 = Some(String::new());
                fence = Some("text");
            }
            (None, Some(_)) => fence = Some("other"),
            (Some(_), Some("")) => fence = None,
            (Some("bash"), _) => commands.last_mut().unwrap().0.extend([line, "\n"]),
            (Some("text"), _) => commands.last_mut().unwrap().1.as_mut().unwrap().extend([line, "\n"]),
            (Some(_) | None, _) => {}
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_works_as_printed() {
    let service = Service::start(&[]).await;
    let commands = commands();
    assert!(commands.len() >= 5, "{}", commands.len());

    for (command, expected) in commands {
        assert!(command.contains(PRINTED), "{command}");
        let live = command.replace(PRINTED, &service.base);
        let ran = tokio::task::spawn_blocking(move || {
            let mut bash = Command::new("bash");
            bash.args(["-euo", "pipefail", "-c", &live]).output().unwrap()
        });
        let ran = ran.await.unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr),
        );
        assert!(ran.status.success(), "{command}\n{stdout}{stderr}");
        if let Some(expected) = expected {
            assert_eq!(stdout, expected, "{command}");
        }
    }
    service.stop().await;
}
