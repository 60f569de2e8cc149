use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{Server, prefix, shared};
use crate::watch::Watchdog;

fn answer(server: &Server) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(b"PING\r\n").ok()?;
    let mut bytes = [0; 64];
    let length = stream.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

#[test]
fn a_server_can_be_paused_resumed_killed_and_restarted() {
    let mut server = Server::start();
    assert_eq!(answer(&server).as_deref(), Some("+PONG\r\n"));

    server.pause();
    assert_eq!(answer(&server), None);

    server.resume();
    assert_eq!(answer(&server).as_deref(), Some("+PONG\r\n"));

    let port = server.port();
    server.kill();
    assert_eq!(answer(&server), None);

    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(answer(&server).as_deref(), Some("+PONG\r\n"));
}

#[test]
fn two_servers_are_two_and_a_dropped_one_is_gone() {
    let (one, other) = (Server::start(), Server::start());
    let port = one.port();
    assert_ne!(port, other.port());

    drop(one);

    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(answer(&other).is_some());
}

#[test]
fn the_shared_server_is_the_same_each_time_and_prefixes_are_not() {
    assert_eq!(shared().port(), shared().port());
    assert_ne!(prefix(), prefix());
}

#[test]
fn a_server_that_is_left_behind_is_ended_and_its_folder_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut left = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    // What the end of our process does: the pipe closes without a word.
    drop(Watchdog::over(left.id(), folder.path()));

    let deadline = Instant::now() + Duration::from_secs(10);
    while left.try_wait().unwrap().is_none() || folder.path().exists() {
        assert!(Instant::now() < deadline, "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_dismissed_watchdog_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();

    // Waits for the shell to end, so what it was going to do is done.
    Watchdog::over(other.id(), folder.path()).dismiss();

    assert!(other.try_wait().unwrap().is_none());
    assert!(folder.path().exists());
    other.kill().unwrap();
    other.wait().unwrap();
}
