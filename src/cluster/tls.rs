//! TLS below the handshake, mutual: each side shows a certificate of the run's own authority.
//!
//! Reader and writer share one rustls connection under a lock, but do not hold it while they wait
//! for the socket; else a reader that waits would block the writer. The reader never writes: what
//! the protocol has to answer goes out with the next record, and there is one every heartbeat.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig};
use rustls::{ServerConnection, version};

use crate::model::{Error, Result};

use super::handshake::Role;
use super::link::Link;
use super::lock;

/// Ciphertext read at once: two records of the greatest length.
const READ_LEN: usize = 32 << 10;

/// The PEM files of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of this process, and those between it and the authority. It names the host as
    /// the list of hosts does, and serves for both ends of a connection.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificate of the authority that all processes trust, and no other is.
    pub ca: PathBuf,
}

/// Both roles of this process.
pub(super) struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    pub(super) fn new(files: &TlsFiles) -> Result<Tls> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots.add(certificate).map_err(|error| wrong(&files.ca, &error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(&files.cert)?;
        let key = || {
            PrivateKeyDer::from_pem_file(&files.key)
                .map_err(|_| Error::job("it holds no private key in PEM").path(&files.key))
        };
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = &[&version::TLS13];
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| wrong(&files.cert, &error))?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain.clone(), key()?)
            .map_err(|error| wrong(&files.cert, &error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| wrong(&files.ca, &error))?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| wrong(&files.cert, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key()?)
            .map_err(|error| wrong(&files.cert, &error))?;
        Ok(Tls { client: Arc::new(client), server: Arc::new(server) })
    }

    /// Shakes hands; `host` is the `host:port` of the responder.
    pub(super) fn secure(&self, mut tcp: TcpStream, role: Role, host: &str) -> io::Result<Link> {
        let mut connection = match role {
            Role::Initiator => {
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let client = ClientConnection::new(Arc::clone(&self.client), name);
                Connection::Client(client.map_err(io::Error::other)?)
            }
            Role::Responder => {
                let server = ServerConnection::new(Arc::clone(&self.server));
                Connection::Server(server.map_err(io::Error::other)?)
            }
        };
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        let binding = connection
            .export_keying_material(vec![0; 32], b"EXPORTER-pingraph-mesh", None)
            .map_err(io::Error::other)?;
        let shared = Arc::new(Mutex::new(connection));
        Ok(Link {
            reader: Box::new(TlsReader {
                tcp: tcp.try_clone()?,
                connection: Arc::clone(&shared),
                cipher: vec![0; READ_LEN],
                range: 0..0,
            }),
            writer: Box::new(TlsWriter {
                tcp: tcp.try_clone()?,
                connection: shared,
                cipher: Vec::new(),
            }),
            tcp,
            binding,
        })
    }
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::job(format!("it does not do for TLS: {error}")).path(path)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| wrong(path, &error))?;
    if all.is_empty() {
        return Err(Error::job("it holds no certificate in PEM").path(path));
    }
    Ok(all)
}

struct TlsReader {
    tcp: TcpStream,
    connection: Arc<Mutex<Connection>>,
    cipher: Vec<u8>,
    /// What of `cipher` rustls has not taken yet.
    range: std::ops::Range<usize>,
}

impl Read for TlsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            {
                let mut connection = lock(&self.connection);
                match connection.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // An end without the end of TLS, too: a goodbye is told by a frame.
                    result => return result,
                }
                if !self.range.is_empty() {
                    let mut rest = &self.cipher[self.range.clone()];
                    self.range.start += connection.read_tls(&mut rest)?;
                    let processed = connection.process_new_packets();
                    processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    continue;
                }
            }
            let count = self.tcp.read(&mut self.cipher)?;
            if count == 0 {
                return Ok(0);
            }
            self.range = 0..count;
        }
    }
}

struct TlsWriter {
    tcp: TcpStream,
    connection: Arc<Mutex<Connection>>,
    cipher: Vec<u8>,
}

impl TlsWriter {
    /// Takes records out of the connection and writes them, without holding its lock.
    fn send(&mut self, plain: &[IoSlice<'_>]) -> io::Result<usize> {
        self.cipher.clear();
        let count = {
            let mut connection = lock(&self.connection);
            let count =
                if plain.is_empty() { 0 } else { connection.writer().write_vectored(plain)? };
            while connection.wants_write() {
                connection.write_tls(&mut self.cipher)?;
            }
            count
        };
        self.tcp.write_all(&self.cipher)?;
        Ok(count)
    }
}

impl Write for TlsWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.send(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(&[]).map(|_| ())
    }
}
