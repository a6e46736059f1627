//! Frames, the one format on a connection after its handshake, and the messages of timely in them.
//!
//! A frame is a kind (one byte), the length of its payload (`u32`, big endian) and the payload.
//! Every kind bounds its length, and a receiver gives up on a peer that goes past it.
//!
//! The payloads of data frames, one after the other, are what timely writes: messages of a header
//! of six `u64` (channel, source, lower and upper end of the targets, length, sequence number) and
//! a body. [`Messages`] cuts them out and checks what timely itself takes on trust: it indexes its
//! workers by the targets and allocates by the length.

use std::io::{self, IoSlice, Write};
use std::ops::Range;

/// Bytes of a frame's payload at most.
pub(super) const FRAME_MAX: usize = 1 << 20;

/// Bytes at most of a control message, and of the body of one message of timely.
pub const MESSAGE_MAX: usize = 64 << 20;

/// Bytes of the text of a [`Kind::Leaving`] at most.
pub(super) const REASON_MAX: usize = 1024;

/// Bytes of a frame's header.
pub(super) const HEADER_LEN: usize = 5;

/// Bytes of a header of timely; with a length of zero it ends the messages.
pub(super) const TIMELY_HEADER_LEN: usize = 48;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of timely's messages.
    Data = 1,
    /// No data will follow.
    EndOfData = 2,
    /// A piece of a control message that is not its last.
    ControlPart = 3,
    /// The last piece of a control message.
    Control = 4,
    /// A sign of life.
    Heartbeat = 5,
    /// The sender gives up the run: the process (`u32`) that is to blame, and a text.
    Leaving = 6,
    /// The sender has finished; nothing follows.
    Goodbye = 7,
}

impl Kind {
    fn payload_max(self) -> usize {
        match self {
            Kind::Data | Kind::ControlPart | Kind::Control => FRAME_MAX,
            Kind::Leaving => 4 + REASON_MAX,
            Kind::EndOfData | Kind::Heartbeat | Kind::Goodbye => 0,
        }
    }
}

/// The kind and the length of the payload that a header tells, or what is wrong with it.
pub(super) fn parse_header(header: [u8; HEADER_LEN]) -> Result<(Kind, usize), String> {
    let [kind, length @ ..] = header;
    let kind = match kind {
        1 => Kind::Data,
        2 => Kind::EndOfData,
        3 => Kind::ControlPart,
        4 => Kind::Control,
        5 => Kind::Heartbeat,
        6 => Kind::Leaving,
        7 => Kind::Goodbye,
        _ => return Err(format!("sent a malformed frame (kind {kind})")),
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > kind.payload_max() {
        return Err(format!("sent a malformed frame ({kind:?} of {length} bytes)"));
    }
    Ok((kind, length))
}

/// Writes one frame; `payload` is within the bound of its kind.
pub(super) fn write_frame(writer: &mut dyn Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    if payload.len() > kind.payload_max() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame too long"));
    }
    let [a, b, c, d] = (payload.len() as u32).to_be_bytes();
    let header = [kind as u8, a, b, c, d];
    let mut done = 0;
    // Header and payload in one call, for a frame is often one packet.
    while done < HEADER_LEN {
        let parts = [IoSlice::new(&header[done..]), IoSlice::new(payload)];
        match writer.write_vectored(&parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    writer.write_all(&payload[done - HEADER_LEN..])
}

/// Cuts whole messages of timely out of the payloads of data frames.
pub(super) struct Messages {
    pending: Vec<u8>,
    /// Workers of the process that sends.
    sources: Range<u64>,
    /// Workers of this process.
    targets: Range<u64>,
    over: bool,
}

impl Messages {
    /// Messages from the workers `sources` to the workers `targets`.
    pub(super) fn new(sources: Range<u64>, targets: Range<u64>) -> Messages {
        Messages { pending: Vec::new(), sources, targets, over: false }
    }

    /// Room for the next `length` bytes, to be filled before the next call of [`Messages::take`].
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        let start = self.pending.len();
        self.pending.resize(start + length, 0);
        &mut self.pending[start..]
    }

    /// The messages that are complete by now, one after the other; without the header that ends
    /// them all, for [`super::stream::Inbox`] gives that. Else what is wrong with them.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, String> {
        if self.over && !self.pending.is_empty() {
            return Err("sent data after their end".to_owned());
        }
        let mut whole = 0;
        while let Some(header) = self.pending[whole..].first_chunk::<TIMELY_HEADER_LEN>() {
            let length = self.length(header)?;
            if length == 0 {
                if self.pending.len() > whole + TIMELY_HEADER_LEN {
                    return Err("sent data after their end".to_owned());
                }
                self.pending.truncate(whole);
                self.over = true;
                break;
            }
            let end = whole + TIMELY_HEADER_LEN + length;
            if end > self.pending.len() {
                break;
            }
            whole = end;
        }
        if whole == 0 {
            return Ok(Vec::new());
        }
        let rest = self.pending.split_off(whole);
        Ok(std::mem::replace(&mut self.pending, rest))
    }

    /// Whether timely's last header has come.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The length of the body behind `header`: zero at the end of all messages.
    fn length(&self, header: &[u8; TIMELY_HEADER_LEN]) -> Result<usize, String> {
        let (words, _) = header.as_chunks::<8>();
        let word = |index: usize| u64::from_be_bytes(words[index]);
        let (source, lower, upper, length) = (word(1), word(2), word(3), word(4));
        if length == 0 {
            return Ok(0);
        }
        let malformed = |what: String| Err(format!("sent a malformed message ({what})"));
        if length > MESSAGE_MAX as u64 {
            return malformed(format!("{length} bytes, at most {MESSAGE_MAX}"));
        }
        if !self.sources.contains(&source) {
            return malformed(format!("from worker {source}"));
        }
        if lower >= upper || lower < self.targets.start || upper > self.targets.end {
            return malformed(format!("to workers {lower}..{upper}"));
        }
        Ok(length as usize)
    }
}
