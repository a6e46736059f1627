//! What two processes do before one byte of data: each proves that it knows the secret, and then
//! both agree on what they are about to run.
//!
//! I is the process that connects, R the one that accepts. `mac(role, n, text)` is HMAC-SHA256,
//! keyed by the secret, over the protocol, the role and number of the message, both nonces, what
//! identifies the TLS connection below (if there is one) and the text.
//!
//! ```text
//! I <-> R  magic, version, 32 random bytes           at the same time
//! I  -> R  mac(I, 0, "")
//! I <-  R  mac(R, 0, "")                             R proves nothing to a stranger
//! I  -> R  claim of I, mac(I, 1, claim)
//! I <-  R  claim of R, mac(R, 1, claim)
//! I <-  R  verdict, mac(R, 2, verdict)
//! I  -> R  verdict, mac(I, 2, verdict)               R counts I as joined from here on
//! ```
//!
//! Why it holds:
//!
//! * Replay: every code covers both nonces, and each side draws its own anew. A recorded code fits
//!   no other handshake.
//! * Reflection: every code covers the role of its sender. What is sent back to its sender, or to
//!   another connection of it, does not fit; nor does a nonce that is our own.
//! * Order: every code covers its number, so none stands for another of the same handshake.
//! * A relay between two honest processes gets nothing but bytes that it could have passed on
//!   anyway, for claims name both ends (`from`, `to`), and below TLS the codes cover the channel.
//! * Codes are compared in constant time.
//! * A stranger learns magic, version and a nonce of R. Someone who takes R's address learns a code
//!   over two nonces from I, and could try secrets on it: hence their least length, and the advice
//!   to draw them at random.
//!
//! It does not encrypt or protect what follows; that is what TLS is for.

use std::io::{self, ErrorKind, Read, Write};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::link::Link;
use super::printable;
use super::secret::fill_random;

/// What opens every connection.
const MAGIC: &[u8; 8] = b"PINGRAPH";
/// Counts up with every change of handshake or frames.
pub(super) const PROTOCOL: u16 = 1;
/// The key if there is no secret. It proves nothing, and only loopback is accepted then.
const PUBLIC_KEY: &[u8] = b"no secret: loopback only";
/// Bytes of a claim at most; with the rest, a handshake stays below 64 KiB.
const CLAIM_MAX: usize = 60 << 10;
/// Bytes of the text of a verdict at most.
const TEXT_MAX: usize = 1024;
const BANNER_LEN: usize = 42;
const CODE_LEN: usize = 32;

/// Why a connection is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This process goes on waiting for the right one.
    Wait(String),
    /// This process does not belong to the run.
    Fatal(String),
}

fn waits<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Wait(what.into()))
}

impl Refusal {
    pub(super) fn text(&self) -> &str {
        match self {
            Refusal::Wait(text) | Refusal::Fatal(text) => text,
        }
    }
}

/// Which end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Initiator = 1,
    Responder = 2,
}

impl Role {
    fn other(self) -> Role {
        match self {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        }
    }
}

/// The messages of one handshake.
pub(super) struct Session<'a> {
    link: &'a mut Link,
    key: Hmac<Sha256>,
    role: Role,
    /// Nonce of the initiator, then of the responder.
    nonces: [[u8; 32]; 2],
    sent: u8,
    received: u8,
}

impl<'a> Session<'a> {
    /// Exchanges banners.
    pub(super) fn open(
        link: &'a mut Link,
        secret: Option<&[u8]>,
        role: Role,
    ) -> Result<Session<'a>, Refusal> {
        let mut mine = [0; 32];
        fill_random(&mut mine).map_err(|error| Refusal::Fatal(error.to_string()))?;
        let mut banner = [0; BANNER_LEN];
        banner[..8].copy_from_slice(MAGIC);
        banner[8..10].copy_from_slice(&PROTOCOL.to_be_bytes());
        banner[10..].copy_from_slice(&mine);
        link.writer.write_all(&banner).map_err(broken)?;
        let mut banner = [0; BANNER_LEN];
        // Magic first: who sends less and waits is told apart from who sends something else.
        link.reader.read_exact(&mut banner[..8]).map_err(broken)?;
        if banner[..8] != MAGIC[..] {
            return waits("it is no pingraph process");
        }
        link.reader.read_exact(&mut banner[8..]).map_err(broken)?;
        let version = u16::from_be_bytes([banner[8], banner[9]]);
        if version != PROTOCOL {
            return waits(format!("it speaks protocol {version}, and this process {PROTOCOL}"));
        }
        let mut theirs = [0; 32];
        theirs.copy_from_slice(&banner[10..]);
        if theirs == mine {
            return waits("it sends back what it gets");
        }
        let key = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.unwrap_or(PUBLIC_KEY))
            .map_err(|error| Refusal::Fatal(error.to_string()))?;
        let nonces = match role {
            Role::Initiator => [mine, theirs],
            Role::Responder => [theirs, mine],
        };
        Ok(Session { link, key, role, nonces, sent: 0, received: 0 })
    }

    /// Proves the secret and has it proven.
    pub(super) fn prove(&mut self) -> Result<(), Refusal> {
        if self.role == Role::Initiator {
            self.send_code(&[])?;
        }
        let mut code = [0; CODE_LEN];
        self.link.reader.read_exact(&mut code).map_err(|error| {
            match (self.role, error.kind()) {
                (Role::Initiator, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    Refusal::Wait(
                        "it refused the proof; is the secret the same on both?".to_owned(),
                    )
                }
                _ => broken(error),
            }
        })?;
        self.check_code(&[], &code)?;
        if self.role == Role::Responder {
            self.send_code(&[])?;
        }
        Ok(())
    }

    /// Sends a text with its code.
    fn send(&mut self, text: &[u8]) -> Result<(), Refusal> {
        self.link.writer.write_all(&(text.len() as u32).to_be_bytes()).map_err(broken)?;
        self.link.writer.write_all(text).map_err(broken)?;
        self.send_code(text)
    }

    /// Receives a text of at most `max` bytes with its code.
    fn receive(&mut self, max: usize) -> Result<Vec<u8>, Refusal> {
        let mut length = [0; 4];
        self.link.reader.read_exact(&mut length).map_err(broken)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > max {
            return waits("its handshake is malformed");
        }
        let mut text = vec![0; length];
        self.link.reader.read_exact(&mut text).map_err(broken)?;
        let mut code = [0; CODE_LEN];
        self.link.reader.read_exact(&mut code).map_err(broken)?;
        self.check_code(&text, &code)?;
        Ok(text)
    }

    pub(super) fn send_claim(&mut self, claim: &Claim) -> Result<(), Refusal> {
        self.send(&claim.encode())
    }

    pub(super) fn receive_claim(&mut self) -> Result<Claim, Refusal> {
        let text = self.receive(CLAIM_MAX)?;
        Claim::decode(&text)
            .ok_or_else(|| Refusal::Wait("its handshake is malformed (claim)".to_owned()))
    }

    /// Tells the other what became of it: welcome, or why not.
    pub(super) fn send_verdict(&mut self, verdict: Option<&Refusal>) -> Result<(), Refusal> {
        let (code, text) = match verdict {
            None => (0, ""),
            Some(Refusal::Wait(text)) => (1, text.as_str()),
            Some(Refusal::Fatal(text)) => (2, text.as_str()),
        };
        let mut message = vec![code];
        message.extend_from_slice(&text.as_bytes()[..text.len().min(TEXT_MAX)]);
        self.send(&message)
    }

    /// The other's verdict on this process.
    pub(super) fn receive_verdict(&mut self) -> Result<(), Refusal> {
        let message = self.receive(1 + TEXT_MAX)?;
        let text = |text: &[u8]| printable(&String::from_utf8_lossy(text));
        match message.split_first() {
            Some((0, _)) => Ok(()),
            Some((1, rest)) => Err(Refusal::Wait(text(rest))),
            Some((2, rest)) => Err(Refusal::Fatal(text(rest))),
            _ => waits("its handshake is malformed (verdict)"),
        }
    }

    fn send_code(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let code = self.code(self.role, self.sent, text).finalize().into_bytes();
        self.sent += 1;
        self.link.writer.write_all(&code).map_err(broken)?;
        self.link.writer.flush().map_err(broken)
    }

    fn check_code(&mut self, text: &[u8], code: &[u8; CODE_LEN]) -> Result<(), Refusal> {
        let first = self.received == 0;
        let wanted = self.code(self.role.other(), self.received, text);
        self.received += 1;
        wanted.verify_slice(code).map_err(|_| {
            let what = if first { "wrong secret" } else { "its handshake was changed on the way" };
            Refusal::Wait(what.to_owned())
        })
    }

    fn code(&self, role: Role, number: u8, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(b"pingraph mesh");
        mac.update(&PROTOCOL.to_be_bytes());
        mac.update(&[role as u8, number]);
        // All of fixed length up to here, so that no two inputs run together.
        mac.update(&self.nonces[0]);
        mac.update(&self.nonces[1]);
        mac.update(&(self.link.binding.len() as u32).to_be_bytes());
        mac.update(&self.link.binding);
        mac.update(text);
        mac
    }
}

fn broken(error: io::Error) -> Refusal {
    Refusal::Wait(match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "it closed the connection during the handshake".to_owned()
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it said nothing for too long".to_owned(),
        _ => format!("the handshake failed: {error}"),
    })
}

/// What a process says of itself and of the run that it wants to be part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) epoch: u64,
    pub(super) engine: String,
    pub(super) job: String,
    pub(super) workers: u32,
    pub(super) peer_timeout_ms: u64,
    pub(super) hosts: Vec<String>,
}

impl Claim {
    /// Whether the claim fits into a handshake.
    pub(super) fn fits(&self) -> bool {
        self.encode().len() <= CLAIM_MAX
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.from.to_be_bytes());
        bytes.extend(self.to.to_be_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.workers.to_be_bytes());
        bytes.extend(self.peer_timeout_ms.to_be_bytes());
        bytes.extend((self.hosts.len() as u32).to_be_bytes());
        for text in [&self.engine, &self.job].into_iter().chain(&self.hosts) {
            bytes.extend((text.len() as u32).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Claim> {
        fn number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (number, rest) = bytes.split_first_chunk::<N>()?;
            *bytes = rest;
            Some(*number)
        }
        fn text(bytes: &mut &[u8]) -> Option<String> {
            let length = u32::from_be_bytes(number(bytes)?) as usize;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(printable(std::str::from_utf8(text).ok()?))
        }
        let bytes = &mut bytes;
        let from = u32::from_be_bytes(number(bytes)?);
        let to = u32::from_be_bytes(number(bytes)?);
        let epoch = u64::from_be_bytes(number(bytes)?);
        let workers = u32::from_be_bytes(number(bytes)?);
        let peer_timeout_ms = u64::from_be_bytes(number(bytes)?);
        let count = u32::from_be_bytes(number(bytes)?) as usize;
        let engine = text(bytes)?;
        let job = text(bytes)?;
        // Each takes four bytes at least, so a wrong count ends early.
        let hosts = (0..count).map(|_| text(bytes)).collect::<Option<Vec<_>>>()?;
        let claim = Claim { from, to, epoch, engine, job, workers, peer_timeout_ms, hosts };
        bytes.is_empty().then_some(claim)
    }
}

/// What a responder finds in the claim of an initiator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Agreed,
    /// Why the initiator is refused.
    Refused(Refusal),
    /// The initiator is of a later attempt, so this process is the one that does not belong; the
    /// epoch of the initiator.
    Outdated(u64),
}

/// Compares the claim of an initiator with the responder's own.
pub(super) fn compare(theirs: &Claim, mine: &Claim) -> Finding {
    let (them, me) = (theirs.from, mine.from);
    let differs = |what: &str, theirs: &str, mine: &str| {
        let what = format!("{what}: process {them} has {theirs}, process {me} has {mine}");
        Finding::Refused(Refusal::Fatal(what))
    };
    if theirs.epoch > mine.epoch {
        return Finding::Outdated(theirs.epoch);
    }
    if theirs.epoch < mine.epoch {
        return Finding::Refused(Refusal::Fatal(format!(
            "an old epoch: process {them} is of epoch {}, and the run at epoch {}",
            theirs.epoch, mine.epoch
        )));
    }
    if theirs.engine != mine.engine {
        return differs("engine versions differ", &theirs.engine, &mine.engine);
    }
    if theirs.hosts != mine.hosts {
        let (theirs, mine) = (&theirs.hosts, &mine.hosts);
        if theirs.len() != mine.len() {
            let count = |hosts: &[String]| format!("{} hosts", hosts.len());
            return differs("host lists differ", &count(theirs), &count(mine));
        }
        let at = theirs.iter().zip(mine).position(|(theirs, mine)| theirs != mine).unwrap_or(0);
        return differs(&format!("host lists differ at host {at}"), &theirs[at], &mine[at]);
    }
    if theirs.job != mine.job {
        let short = |job: &str| format!("job hash {}", job.chars().take(16).collect::<String>());
        return differs("job files differ", &short(&theirs.job), &short(&mine.job));
    }
    if theirs.workers != mine.workers {
        let count = |workers: u32| format!("{workers} workers");
        return differs("workers differ", &count(theirs.workers), &count(mine.workers));
    }
    if theirs.peer_timeout_ms != mine.peer_timeout_ms {
        let time = |ms: u64| format!("{ms} ms");
        let what = "peer time-outs differ";
        return differs(what, &time(theirs.peer_timeout_ms), &time(mine.peer_timeout_ms));
    }
    if theirs.to != mine.from {
        // Perhaps an old entry of a name server, so it may try again.
        return Finding::Refused(Refusal::Wait(format!(
            "process {them} looked for process {}, and reached process {me}",
            theirs.to
        )));
    }
    // The higher index connects to the lower.
    if them <= me || them as usize >= mine.hosts.len() {
        let what = format!("process {them} has no business to connect to process {me}");
        return Finding::Refused(Refusal::Fatal(what));
    }
    Finding::Agreed
}
