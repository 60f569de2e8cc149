//! Throw-away certificates for servers on loopback. Needs `openssl` (Debian package `openssl`).
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// The files that [`make`] leaves in its folder: the authority, the server's certificate and its key.
pub(crate) const CA: &str = "ca.crt";
pub(crate) const CERTIFICATE: &str = "server.crt";
pub(crate) const KEY: &str = "server.key";

/// An authority and a server certificate for 127.0.0.1, valid for two days.
pub(crate) fn make(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run openssl (Debian package: openssl): {error}"));
        assert!(
            made.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    };
    std::fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1\n").expect("the certificate's settings");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out {CA} -days 2 -subj /CN=throw-away"
    ));
    openssl(&format!("req {key} -keyout {KEY} -out server.csr -subj /CN=127.0.0.1"));
    openssl(&format!(
        "x509 -req -in server.csr -CA {CA} -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out {CERTIFICATE}"
    ));
}
