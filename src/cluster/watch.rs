//! The state of [`super::connect`]: who has joined, who is shaking hands, and what went wrong.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::model::{Error, Result};

use super::handshake::{Claim, Refusal, Role};
use super::hub::Hub;
use super::link::Link;
use super::lock;
use super::mesh::MeshOptions;

/// Handshakes of strangers at once; with more, the oldest is dropped.
const HANDSHAKES_MAX: usize = 32;
/// Lines of the log about connections; a flood of them shall not fill the disk.
const LINES_MAX: usize = 500;

/// Whether a process has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    /// Its handshake is about to end.
    Reserved,
    Joined,
}

/// The state of [`super::connect`].
pub(super) struct Joining {
    pub(super) hub: Arc<Hub>,
    pub(super) options: MeshOptions,
    pub(super) claim: Claim,
    pub(super) deadline: Instant,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Tls>,
    slots: Mutex<Vec<Slot>>,
    /// Why each process is not there, as far as is known.
    notes: Mutex<Vec<Option<String>>>,
    watched: Mutex<Watched>,
    failure: Mutex<Option<Error>>,
    over: AtomicBool,
    lines: AtomicUsize,
}

#[derive(Default)]
struct Watched {
    next: u64,
    handshakes: Vec<Handshake>,
}

struct Handshake {
    id: u64,
    role: Role,
    since: Instant,
    tcp: TcpStream,
}

impl Joining {
    pub(super) fn new(
        hub: Arc<Hub>,
        options: MeshOptions,
        claim: Claim,
        deadline: Instant,
    ) -> Result<Joining> {
        let mut slots = vec![Slot::Free; hub.hosts.len()];
        slots[hub.process] = Slot::Joined;
        Ok(Joining {
            notes: Mutex::new(vec![None; hub.hosts.len()]),
            hub,
            #[cfg(feature = "tls")]
            tls: options.tls.as_ref().map(super::tls::Tls::new).transpose()?,
            options,
            claim,
            deadline,
            slots: Mutex::new(slots),
            watched: Mutex::default(),
            failure: Mutex::default(),
            over: AtomicBool::new(false),
            lines: AtomicUsize::new(0),
        })
    }

    /// The secret's bytes.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.options.secret.as_ref().map(|secret| secret.expose().as_bytes())
    }

    /// Puts TLS on a connection, if it is wanted; `host` is that of the responder.
    pub(super) fn secure(&self, tcp: TcpStream, role: Role, host: &str) -> io::Result<Link> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.secure(tcp, role, host);
        }
        let _ = (role, host);
        Link::plain(tcp)
    }

    /// Logs a line, up to a number of them.
    pub(super) fn log(&self, line: &str) {
        let lines = self.lines.fetch_add(1, Ordering::Relaxed);
        if lines < LINES_MAX {
            (self.options.log)(line);
        } else if lines == LINES_MAX {
            (self.options.log)("more connections are refused, without a line for each");
        }
    }

    /// Notes why `process` is not there, and logs it if that is new.
    pub(super) fn note(&self, process: usize, note: &str) {
        let mut notes = lock(&self.notes);
        if let Some(last) = notes.get_mut(process)
            && last.as_deref() != Some(note)
        {
            *last = Some(note.to_owned());
            drop(notes);
            self.log(&format!("waiting for {note}"));
        }
    }

    /// Notes why a process that came was refused; its connection's line tells it to the log.
    pub(super) fn note_refused(&self, process: usize, why: &str) {
        if let Some(note) = lock(&self.notes).get_mut(process) {
            *note = Some(format!("{} was refused: {why}", self.hub.name(process)));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends all that is under way.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        for handshake in std::mem::take(&mut lock(&self.watched).handshakes) {
            let _ = handshake.tcp.shutdown(Shutdown::Both);
        }
    }

    /// This process cannot take part. The first reason counts.
    pub(super) fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Why this process cannot take part.
    pub(super) fn failure(&self) -> Option<Error> {
        let lost = || self.hub.lost().map(|lost| Error::engine(lost.to_string()));
        lock(&self.failure).clone().or_else(lost)
    }

    /// Takes the slot of `process` and gives what it was before.
    pub(super) fn reserve(&self, process: usize) -> Slot {
        match lock(&self.slots).get_mut(process) {
            Some(slot) if *slot == Slot::Free => std::mem::replace(slot, Slot::Reserved),
            Some(slot) => *slot,
            None => Slot::Joined,
        }
    }

    /// Frees a slot that was reserved.
    pub(super) fn free(&self, process: usize) {
        if let Some(slot) = lock(&self.slots).get_mut(process)
            && *slot == Slot::Reserved
        {
            *slot = Slot::Free;
        }
    }

    /// Takes the connection to `process` in.
    pub(super) fn complete(&self, process: usize, link: Link) -> std::result::Result<(), Refusal> {
        let mut slots = lock(&self.slots);
        if self.is_over() {
            return Err(Refusal::Wait("the run goes on without it".to_owned()));
        }
        if let Err(error) = self.hub.join(process, link) {
            self.fail(error.clone());
            return Err(Refusal::Fatal(error.to_string()));
        }
        if let Some(slot) = slots.get_mut(process) {
            *slot = Slot::Joined;
        }
        (self.options.log)(&format!("{} has joined", self.hub.name(process)));
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        lock(&self.slots).iter().all(|slot| *slot == Slot::Joined)
    }

    /// The error that not all have come, the first that is missing, and what to tell the others.
    pub(super) fn missing(&self) -> (Error, usize, String) {
        let slots = lock(&self.slots);
        let notes = lock(&self.notes);
        let absent = |index: &usize| slots[*index] != Slot::Joined;
        let missing: Vec<usize> = (0..slots.len()).filter(absent).collect();
        let names: Vec<String> = missing.iter().map(|index| self.hub.name(*index)).collect();
        let seconds = self.options.connect_timeout.as_secs_f64();
        let mut what = format!(
            "{} of {} processes came within {seconds} s; missing: {}",
            slots.len() - missing.len(),
            slots.len(),
            names.join(", ")
        );
        for note in missing.iter().filter_map(|index| notes[*index].as_deref()) {
            what.push_str(&format!(" ({note})"));
        }
        let error = Error::engine(what)
            .remedy("start all processes with the same hosts, or raise --connect-timeout");
        let first = missing.first().copied().unwrap_or(self.hub.process);
        (error, first, format!("it did not come within {seconds} s"))
    }

    /// Watches a connection until its handshake is over.
    pub(super) fn watch(&self, tcp: &TcpStream, role: Role) -> io::Result<u64> {
        let tcp = tcp.try_clone()?;
        let mut watched = lock(&self.watched);
        if self.is_over() {
            let _ = tcp.shutdown(Shutdown::Both);
        }
        let most = HANDSHAKES_MAX.max(2 * self.hub.hosts.len());
        let strangers = |handshake: &Handshake| handshake.role == Role::Responder;
        if role == Role::Responder
            && watched.handshakes.iter().filter(|one| strangers(one)).count() >= most
            && let Some(oldest) = watched.handshakes.iter().position(strangers)
        {
            // In order of time, for they are pushed at the end.
            let _ = watched.handshakes.remove(oldest).tcp.shutdown(Shutdown::Both);
        }
        let id = watched.next;
        watched.next += 1;
        watched.handshakes.push(Handshake { id, role, since: Instant::now(), tcp });
        Ok(id)
    }

    /// Ends watching; whether the handshake was not dropped meanwhile.
    pub(super) fn unwatch(&self, id: u64) -> bool {
        let handshakes = &mut lock(&self.watched).handshakes;
        let position = handshakes.iter().position(|handshake| handshake.id == id);
        position.map(|position| handshakes.remove(position)).is_some()
    }

    /// Drops the handshakes that last longer than `most`.
    pub(super) fn expire(&self, most: Duration) {
        lock(&self.watched).handshakes.retain(|handshake| {
            let keep = handshake.since.elapsed() < most;
            if !keep {
                let _ = handshake.tcp.shutdown(Shutdown::Both);
            }
            keep
        });
    }
}
