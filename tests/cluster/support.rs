//! Meshes in threads of this process.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pingraph::Error;
use pingraph::cluster::{Agreement, Membership, Mesh, MeshOptions, Secret, connect};

/// Stands in no log, error or `Debug`.
pub const MARKER: &str = "marker-secret-9b1f7c";

/// Lines of a log.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn push(&self, line: &str) {
        assert!(!line.contains(MARKER), "a secret in the log");
        self.0.lock().unwrap().push(line.to_owned());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn has(&self, part: &str) -> bool {
        self.all().iter().any(|line| line.contains(part))
    }

    /// Waits for a line that contains `part`.
    pub fn expect(&self, part: &str) {
        until(&format!("{part:?} in the log"), || self.has(part), || format!("{:#?}", self.all()));
    }
}

/// Waits until `condition` holds, for ten seconds at most.
pub fn until(what: &str, condition: impl Fn() -> bool, state: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "no {what}: {}", state());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Hosts on loopback, with listeners that hold their ports.
pub struct Hosts {
    pub names: Vec<String>,
    listeners: Vec<Option<TcpListener>>,
}

impl Hosts {
    pub fn new(count: usize) -> Hosts {
        let listeners: Vec<_> =
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let names = listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
        Hosts { names, listeners: listeners.into_iter().map(Some).collect() }
    }

    pub fn listener(&mut self, process: usize) -> Option<TcpListener> {
        self.listeners[process].take()
    }

    /// The options of one process, and its log.
    pub fn options(&self, process: usize) -> (MeshOptions, Lines) {
        let lines = Lines::default();
        let log = lines.clone();
        let options = MeshOptions {
            membership: Membership { hosts: self.names.clone(), process },
            secret: Some(Secret::from_text(MARKER).unwrap()),
            epoch: 7,
            connect_timeout: Duration::from_secs(20),
            peer_timeout: Duration::from_secs(10),
            log: Arc::new(move |line| log.push(line)),
            interrupted: Arc::new(|| false),
            #[cfg(feature = "tls")]
            tls: None,
        };
        (options, lines)
    }

    /// Connects one process on a thread.
    pub fn start(
        &mut self,
        process: usize,
        change: impl FnOnce(&mut MeshOptions, &mut Agreement),
    ) -> (Connecting, Lines) {
        let (mut options, lines) = self.options(process);
        let mut agreement = agreement();
        change(&mut options, &mut agreement);
        let listener = self.listener(process);
        let thread = thread::spawn(move || connect(options, &agreement, listener));
        (Connecting(thread), lines)
    }
}

pub struct Connecting(thread::JoinHandle<Result<Mesh, Error>>);

impl Connecting {
    pub fn mesh(self) -> Mesh {
        self.0.join().unwrap().unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn error(self) -> String {
        match self.0.join().unwrap() {
            Ok(_) => panic!("it came in"),
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(MARKER), "a secret in an error");
                error.to_string()
            }
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.0.is_finished()
    }
}

pub fn agreement() -> Agreement {
    Agreement { engine: "0.1.0".to_owned(), job: "abcd1234".to_owned(), workers: 2 }
}

/// A mesh of `count` processes.
pub fn meshes(
    count: usize,
    change: impl Fn(&mut MeshOptions, &mut Agreement),
) -> (Vec<Mesh>, Vec<Lines>) {
    let mut hosts = Hosts::new(count);
    let started: Vec<_> = (0..count).map(|process| hosts.start(process, &change)).collect();
    started.into_iter().map(|(mesh, lines)| (mesh.mesh(), lines)).unzip()
}

/// Closes all at once, as processes do.
pub fn close(meshes: Vec<Mesh>) {
    let closing: Vec<_> =
        meshes.into_iter().map(|mesh| thread::spawn(move || mesh.close())).collect();
    for thread in closing {
        thread.join().unwrap();
    }
}

/// The control messages that a mesh gets, with their senders.
/// Messages with their senders.
pub type Messages = Arc<Mutex<Vec<(usize, Vec<u8>)>>>;

pub fn messages(mesh: &Mesh) -> Messages {
    let got = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&got);
    mesh.on_control(Arc::new(move |from, message| into.lock().unwrap().push((from, message))));
    got
}
