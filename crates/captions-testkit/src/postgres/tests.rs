use std::{io::Read, net::TcpStream};

use super::*;

#[test]
fn each_new_database_is_empty_and_apart() {
    let server = Server::start();
    let name = |url: String| url.rsplit('/').next().unwrap().to_owned();
    let (one, two) = (name(server.new_database()), name(server.new_database()));

    server.sql(&one, "CREATE TABLE marks (mark text); INSERT INTO marks VALUES ('one')");

    assert_eq!(server.sql(&one, "SELECT mark FROM marks"), "one");
    assert_eq!(
        server.sql(&two, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_folder() {
    let server = Server::start();
    let (processes, folder) = (server.processes(), server.folder.path().to_owned());
    assert!(processes.len() > 1);

    drop(server);

    wait_until_gone(&processes, &folder);
}

#[test]
fn the_watchdog_ends_a_server_whose_owner_is_gone() {
    let mut server = Server::start();
    let (processes, folder) = (server.processes(), server.folder.path().to_owned());

    // The end of our process does exactly this: it closes the pipe and runs no destructor.
    let Process { child, watchdog } = server.process.take().unwrap();
    std::mem::forget(server);
    thread::scope(|scope| {
        scope.spawn(move || watchdog.abandon());
        // Somebody has to collect the dead child; after the end of our process init does it.
        scope.spawn(move || {
            let mut child = child;
            child.wait()
        });
    });

    wait_until_gone(&processes, &folder);
}

#[test]
fn a_frozen_server_is_stopped_as_well() {
    let server = Server::start();
    let (processes, folder) = (server.processes(), server.folder.path().to_owned());
    server.pause();

    drop(server);

    wait_until_gone(&processes, &folder);
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let server = Server::start();
    server.pause();

    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    std::io::Write::write_all(&mut stream, &[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let silent = stream.read(&mut [0; 1]);
    server.resume();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).unwrap();

    assert!(silent.is_err());
    assert_eq!(&answer, b"N", "the answer to the question for TLS");
}

#[test]
fn a_killed_server_comes_back_with_its_data() {
    let mut server = Server::start();
    server.sql(
        "postgres",
        "CREATE TABLE marks (mark text); INSERT INTO marks VALUES ('kept')",
    );
    let port = server.port();

    server.kill();
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    server.restart();

    assert!(refused.is_err());
    assert_eq!(server.port(), port);
    assert_eq!(server.sql("postgres", "SELECT mark FROM marks"), "kept");
}

#[test]
fn a_killed_server_leaves_no_shared_memory() {
    let mut server = Server::start();
    let segment = std::fs::read_to_string(server.data().join("postmaster.pid")).unwrap();
    let segment = segment
        .lines()
        .nth(6)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    let exists = || {
        let listed = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        listed
            .lines()
            .any(|line| line.split_whitespace().nth(1) == Some(segment.as_str()))
    };

    server.kill();
    assert!(exists(), "a kill leaves it, or there is nothing to test");
    drop(server);

    assert!(!exists());
}

fn wait_until_gone(processes: &[u32], folder: &Path) {
    let deadline = Instant::now() + LIMIT;
    while folder.exists() || processes.iter().any(|id| is_running(*id)) {
        assert!(Instant::now() < deadline, "a Postgres server outlived its owner");
        thread::sleep(Duration::from_millis(10));
    }
}

/// False for a process that has ended and was not collected yet, too.
fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|state| state != "Z")
}
