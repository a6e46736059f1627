//! Which processes run a job together: the flags, the environment, or a launcher.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::console::Console;
use crate::cluster::{HOSTS_MAX, Membership, MeshOptions, Secret, membership};
use crate::engine::{Cluster, Observer};
use crate::model::{Error, Result, parse_duration};

/// Environment variable with the number of the attempt at a run.
pub const EPOCH_VARIABLE: &str = "PINGRAPH_EPOCH";

/// The processes of a run.
#[derive(Args, Debug)]
#[command(next_help_heading = "Several processes")]
pub struct ClusterArgs {
    /// Start so many processes on this machine and supervise them.
    #[arg(long, value_name = "N", conflicts_with = "hosts")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::try_from(HOSTS_MAX).unwrap_or(1)))]
    pub processes: Option<u16>,

    /// With --processes: how often to start again after a process was lost.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "processes")]
    pub restarts: u32,

    /// Keep the tables that an attempt has finished when it fails, and take up those that an earlier
    /// attempt at the same run has kept. --restarts does so by itself.
    #[arg(long)]
    pub resume: bool,

    /// All processes, one host[:port] a line in order of index; the same file on all of them.
    /// Default: PINGRAPH_HOSTS, a file or host,host,...
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,

    /// The index of this process, from 0. Default: PINGRAPH_PROCESS, SLURM_PROCID, or the ordinal of
    /// a StatefulSet's pod.
    #[arg(long, value_name = "I")]
    pub process: Option<usize>,

    /// File of mode 600 with the secret that all processes share. Default: PINGRAPH_SECRET; without
    /// either only processes of this machine are accepted.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,

    /// How long to wait for all processes: 60s, 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub connect_timeout: Duration,

    /// Within what time the loss of a process ends the run on all others.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub peer_timeout: Duration,

    /// PEM file with this process's certificate: TLS between the processes.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// PEM file with the authority that signs all processes' certificates.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_ca: Option<PathBuf>,

    /// Where the processes that a launcher started tell one another their addresses.
    #[arg(long, value_name = "FOLDER", hide = true, requires_all = ["processes", "process"])]
    pub rendezvous: Option<PathBuf>,
}

/// A length of time from the command line.
fn time(text: &str) -> std::result::Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    Ok(Duration::from_micros(time.unsigned_abs()))
}

impl ClusterArgs {
    /// Whether this process only starts others and supervises them.
    pub fn launches(&self) -> bool {
        self.processes.is_some() && self.rendezvous.is_none()
    }

    /// Whether finished tables go from one attempt to the next.
    pub fn resumes(&self) -> bool {
        self.resume || self.restarts > 0
    }

    /// The processes of the run, or none if this is the only one.
    ///
    /// # Errors
    /// When flags or environment are wrong.
    pub fn cluster(&self, console: &Console) -> Result<Option<Cluster>> {
        let env = |name: &str| std::env::var(name).ok();
        let (membership, listener) = match (&self.rendezvous, self.processes, self.process) {
            (Some(folder), Some(count), Some(process)) => {
                let count = usize::from(count);
                let (membership, listener) = meet_in(folder, process, count, self.connect_timeout)?;
                (Some(membership), Some(Arc::new(listener)))
            }
            _ => (membership(self.hosts.as_deref(), self.process, &env)?, None),
        };
        let Some(membership) = membership else { return Ok(None) };
        let launched = self.rendezvous.is_some();
        let (log, asked) = (console.clone(), console.clone());
        let mesh = MeshOptions {
            membership,
            secret: Secret::from_env_or_file(self.secret_file.as_deref())?,
            epoch: epoch(env(EPOCH_VARIABLE))?,
            connect_timeout: self.connect_timeout,
            peer_timeout: self.peer_timeout,
            log: Arc::new(move |line: &str| {
                // Where one launcher has started all of them, that they meet is no news.
                if !(launched && line.ends_with("has joined")) {
                    log.note(line);
                }
            }),
            interrupted: Arc::new(move || asked.interrupted()),
            #[cfg(feature = "tls")]
            tls: self.tls(),
        };
        Ok(Some(Cluster { mesh, listener }))
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<crate::cluster::TlsFiles> {
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(cert), Some(key), Some(ca)) => Some(crate::cluster::TlsFiles {
                cert: cert.clone(),
                key: key.clone(),
                ca: ca.clone(),
            }),
            _ => None,
        }
    }
}

/// The number of the attempt: what [`EPOCH_VARIABLE`] says, or 0.
fn epoch(variable: Option<String>) -> Result<u64> {
    match variable {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| {
            Error::job(format!("{text:?} is no number of an attempt")).column(EPOCH_VARIABLE)
        }),
    }
}

/// Meets the other processes that one launcher has started, in `folder`: each listens on a free port of
/// loopback and writes down where.
fn meet_in(
    folder: &Path,
    process: usize,
    count: usize,
    timeout: Duration,
) -> Result<(Membership, TcpListener)> {
    let failed =
        |what: &str, error: &std::io::Error| Error::engine(format!("{what}: {error}")).path(folder);
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(|e| failed("cannot listen on loopback", &e))?;
    let address = listener.local_addr().map_err(|e| failed("cannot listen on loopback", &e))?;
    let (draft, own) = (folder.join(format!("{process}.tmp")), folder.join(process.to_string()));
    std::fs::write(&draft, address.to_string())
        .and_then(|()| std::fs::rename(&draft, &own))
        .map_err(|e| failed("cannot tell the other processes where this one listens", &e))?;
    let until = Instant::now() + timeout;
    loop {
        let read = |index: usize| std::fs::read_to_string(folder.join(index.to_string())).ok();
        let hosts: Vec<String> = (0..count).map_while(read).collect();
        if hosts.len() == count {
            return Ok((Membership { hosts, process }, listener));
        }
        if Instant::now() > until || !folder.is_dir() {
            let missing = hosts.len();
            return Err(Error::engine(format!("process {missing} did not start in time")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
