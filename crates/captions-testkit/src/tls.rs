//! TLS on loopback: throw-away certificates, and a door with TLS before a server that has none. Needs `openssl` (Debian
//! package `openssl`).
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

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

/// For the certificate in this folder. Offers this protocol and no other (ALPN).
pub(crate) fn acceptor(folder: &Path, protocol: &[u8]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join(CERTIFICATE)).expect("the server's certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).expect("the server's key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS that the provider knows")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that belongs to the certificate");
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A port of loopback with TLS and HTTP/1.1 that passes everything on to a server without TLS. Dropping it closes the port and
/// every connection.
pub struct Door {
    address: SocketAddr,
    certificates: TempDir,
    task: JoinHandle<()>,
}

impl Door {
    pub async fn before(server: SocketAddr) -> Self {
        let certificates = tempfile::tempdir().expect("a folder for certificates");
        make(certificates.path());
        let tls = acceptor(certificates.path(), b"http/1.1");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        connections.spawn(pass(client, tls.clone(), server));
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self {
            address,
            certificates,
            task,
        }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The PEM file of the authority behind its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.certificates.path().join(CA)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends with either side; what went wrong is theirs to notice.
async fn pass(client: TcpStream, tls: TlsAcceptor, server: SocketAddr) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut client = tls.accept(client).await.ok()?;
    let mut server = TcpStream::connect(server).await.ok()?;
    server.set_nodelay(true).ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
