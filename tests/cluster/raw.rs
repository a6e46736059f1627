//! Handshake and frames written anew from their description, for peers that misbehave.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::support::{MARKER, agreement};

pub const DATA: u8 = 1;
pub const END_OF_DATA: u8 = 2;
pub const CONTROL_PART: u8 = 3;
pub const CONTROL: u8 = 4;
pub const HEARTBEAT: u8 = 5;
pub const LEAVING: u8 = 6;
pub const GOODBYE: u8 = 7;

/// What a process claims.
#[derive(Clone, Debug)]
pub struct Claim {
    pub from: u32,
    pub to: u32,
    pub epoch: u64,
    pub workers: u32,
    pub peer_timeout_ms: u64,
    pub engine: String,
    pub job: String,
    pub hosts: Vec<String>,
}

impl Claim {
    /// The claim that process 0 of `hosts` likes to hear of process `from`.
    pub fn right(from: u32, hosts: &[String], peer_timeout: Duration) -> Claim {
        let agreement = agreement();
        Claim {
            from,
            to: 0,
            epoch: 7,
            workers: agreement.workers,
            peer_timeout_ms: peer_timeout.as_millis() as u64,
            engine: agreement.engine,
            job: agreement.job,
            hosts: hosts.to_vec(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.from.to_be_bytes());
        out.extend(self.to.to_be_bytes());
        out.extend(self.epoch.to_be_bytes());
        out.extend(self.workers.to_be_bytes());
        out.extend(self.peer_timeout_ms.to_be_bytes());
        out.extend((self.hosts.len() as u32).to_be_bytes());
        let texts = [&self.engine, &self.job].into_iter().chain(&self.hosts);
        for text in texts {
            out.extend((text.len() as u32).to_be_bytes());
            out.extend(text.bytes());
        }
        out
    }
}

/// The side that connects.
pub struct Raw {
    pub tcp: TcpStream,
    key: Vec<u8>,
    nonces: Vec<u8>,
    sent: u8,
}

/// The nonce that every raw peer sends.
const NONCE: [u8; 32] = [0x5a; 32];

pub fn banner(version: u16, nonce: [u8; 32]) -> Vec<u8> {
    [b"PINGRAPH".as_slice(), &version.to_be_bytes(), &nonce].concat()
}

impl Raw {
    /// Exchanges banners.
    pub fn open(host: &str, key: &str) -> io::Result<Raw> {
        let mut tcp = TcpStream::connect(host)?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        tcp.write_all(&banner(1, NONCE))?;
        let mut theirs = [0; 42];
        tcp.read_exact(&mut theirs)?;
        assert_eq!(&theirs[..10], b"PINGRAPH\0\x01");
        let nonces = [NONCE.as_slice(), &theirs[10..]].concat();
        Ok(Raw { tcp, key: key.as_bytes().to_vec(), nonces, sent: 0 })
    }

    pub fn code(&self, role: u8, number: u8, text: &[u8]) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).unwrap();
        for part in [b"pingraph mesh\0\x01", &[role, number][..], &self.nonces, &[0; 4], text] {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }

    /// Proves the secret; an error is a refusal.
    pub fn prove(&mut self) -> io::Result<()> {
        let code = self.code(1, 0, &[]);
        self.tcp.write_all(&code)?;
        let mut theirs = [0; 32];
        self.tcp.read_exact(&mut theirs)?;
        assert_eq!(theirs.to_vec(), self.code(2, 0, &[]));
        self.sent = 1;
        Ok(())
    }

    fn send(&mut self, text: &[u8]) -> io::Result<()> {
        let code = self.code(1, self.sent, text);
        self.sent += 1;
        let length = (text.len() as u32).to_be_bytes();
        self.tcp.write_all(&[&length, text, &code].concat())
    }

    fn receive(&mut self, number: u8) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.tcp.read_exact(&mut length)?;
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.tcp.read_exact(&mut text)?;
        let mut code = [0; 32];
        self.tcp.read_exact(&mut code)?;
        assert_eq!(code.to_vec(), self.code(2, number, &text));
        Ok(text)
    }

    /// Claims, and gives the verdict: its number and text.
    pub fn claim(&mut self, claim: &Claim) -> io::Result<(u8, String)> {
        self.send(&claim.bytes())?;
        self.receive(1)?;
        let verdict = self.receive(2)?;
        Ok((verdict[0], String::from_utf8(verdict[1..].to_vec()).unwrap()))
    }

    /// Accepts what the other claims, and so joins.
    pub fn accept(&mut self) -> io::Result<()> {
        self.send(&[0])
    }

    /// A peer that has joined process 0.
    pub fn joined(from: u32, hosts: &[String], peer_timeout: Duration) -> Raw {
        Raw::joined_as(&Claim::right(from, hosts, peer_timeout))
    }

    /// A peer that has joined the process that its claim is for.
    pub fn joined_as(claim: &Claim) -> Raw {
        let mut raw = Raw::open(&claim.hosts[claim.to as usize], MARKER).unwrap();
        raw.prove().unwrap();
        assert_eq!(raw.claim(claim).unwrap(), (0, String::new()));
        raw.accept().unwrap();
        raw
    }

    pub fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        self.tcp.write_all(&[&[kind], &length[..], payload].concat())
    }

    /// The next frame that is no heartbeat.
    pub fn next(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let mut header = [0; 5];
            self.tcp.read_exact(&mut header)?;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            let mut payload = vec![0; length as usize];
            self.tcp.read_exact(&mut payload)?;
            if header[0] != HEARTBEAT {
                return Ok((header[0], payload));
            }
        }
    }
}

/// A message of timely.
pub fn message(source: u64, lower: u64, upper: u64, length: u64, body: &[u8]) -> Vec<u8> {
    let words = [0, source, lower, upper, length, 0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend_from_slice(body);
    bytes
}
