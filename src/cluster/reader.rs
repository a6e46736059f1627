//! The thread that reads from a peer. It alone judges whether the peer is lost.

use std::io::{BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::peer::Peer;
use super::printable;
use super::wire::{HEADER_LEN, Kind, MESSAGE_MAX, Messages, parse_header};

/// Why reading ends, but for a goodbye.
struct Fault {
    /// The process to blame.
    process: usize,
    reason: String,
}

/// Reads frames from `peer` until it says goodbye or is lost. `source` has a timeout of `tick`.
pub(super) fn run(hub: &Arc<Hub>, peer: &Arc<Peer>, source: Box<dyn Read + Send>, tick: Duration) {
    let range = |process: usize| {
        let first = process as u64 * hub.workers;
        first..first + hub.workers
    };
    let mut reading = Reading {
        hub,
        peer,
        source: Source {
            process: peer.index,
            source: BufReader::with_capacity(1 << 16, source),
            tick,
            silence: Duration::ZERO,
            silence_max: hub.peer_timeout.mul_f64(0.8),
        },
        messages: Messages::new(range(peer.index), range(hub.process)),
        control: Vec::new(),
    };
    match reading.frames() {
        Ok(()) => hub.left(peer),
        Err(fault) => {
            hub.lose(fault.process, &fault.reason);
            if fault.process != peer.index {
                peer.shut();
            }
        }
    }
    hub.reader_ended();
}

struct Reading<'a> {
    hub: &'a Hub,
    peer: &'a Peer,
    source: Source,
    messages: Messages,
    /// The pieces so far of a control message.
    control: Vec<u8>,
}

impl Reading<'_> {
    fn frames(&mut self) -> Result<(), Fault> {
        loop {
            let mut header = [0; HEADER_LEN];
            self.source.fill(&mut header)?;
            let (kind, length) = parse_header(header).map_err(|what| self.source.fault(what))?;
            match kind {
                Kind::Data => self.data(length)?,
                Kind::EndOfData if self.messages.is_over() => self.peer.inbox.finish(),
                Kind::EndOfData => return Err(self.source.fault("ended its data in the middle")),
                Kind::ControlPart | Kind::Control => self.control(kind, length)?,
                Kind::Heartbeat => {}
                Kind::Leaving => return Err(self.leaving(length)?),
                Kind::Goodbye => return Ok(()),
            }
        }
    }

    fn data(&mut self, length: usize) -> Result<(), Fault> {
        self.source.fill(self.messages.room(length))?;
        let whole = self.messages.take().map_err(|what| self.source.fault(what))?;
        let received = &self.peer.traffic.data_received;
        received.fetch_add(length as u64, Ordering::Relaxed);
        self.peer.inbox.push(whole, self.hub.peer_timeout / 100);
        Ok(())
    }

    fn control(&mut self, kind: Kind, length: usize) -> Result<(), Fault> {
        let start = self.control.len();
        if start + length > MESSAGE_MAX {
            let what = format!("sent a control message of more than {MESSAGE_MAX} bytes");
            return Err(self.source.fault(what));
        }
        self.control.resize(start + length, 0);
        self.source.fill(&mut self.control[start..])?;
        if kind == Kind::Control {
            let message = std::mem::take(&mut self.control);
            let received = &self.peer.traffic.control_received;
            received.fetch_add(message.len() as u64, Ordering::Relaxed);
            let delivered = self.hub.deliver(self.peer.index, message);
            delivered.map_err(|what| self.source.fault(what))?;
        }
        Ok(())
    }

    /// The peer leaves, and says because of whom: that one is named, not its neighbour.
    fn leaving(&mut self, length: usize) -> Result<Fault, Fault> {
        let mut payload = vec![0; length];
        self.source.fill(&mut payload)?;
        let Some((process, text)) = payload.split_first_chunk::<4>() else {
            return Err(self.source.fault("sent a malformed frame (Leaving)"));
        };
        let process = u32::from_be_bytes(*process) as usize;
        let text = printable(&String::from_utf8_lossy(text));
        let sender = self.peer.index;
        if process == sender {
            return Ok(self.source.fault(format!("it gave up: {text}")));
        }
        if process == self.hub.process {
            return Ok(self.source.fault(format!("it gave up on this process: {text}")));
        }
        if process >= self.hub.hosts.len() {
            return Err(self.source.fault("sent a malformed frame (Leaving)"));
        }
        let reason = format!("{text} (told by {})", self.hub.name(sender));
        Ok(Fault { process, reason })
    }
}

/// Reads, and measures how long nothing comes.
struct Source {
    process: usize,
    source: BufReader<Box<dyn Read + Send>>,
    tick: Duration,
    silence: Duration,
    silence_max: Duration,
}

impl Source {
    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { process: self.process, reason: reason.into() }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            let started = Instant::now();
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.fault("it closed the connection")),
                Ok(count) => {
                    filled += count;
                    self.silence = Duration::ZERO;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    // If this process itself was stopped, that is not the peer's silence.
                    self.silence += started.elapsed().min(self.tick * 2);
                    if self.silence >= self.silence_max {
                        let seconds = self.silence.as_secs_f64();
                        return Err(self.fault(format!("silent for {seconds:.1} s")));
                    }
                }
                Err(error) => return Err(self.fault(format!("its connection failed: {error}"))),
            }
        }
        Ok(())
    }
}
