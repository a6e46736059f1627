//! A connection as its two halves.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection, with or without TLS. The halves may be used by two threads at once.
pub(super) struct Link {
    /// The socket below, for its options and to shut it down.
    pub(super) tcp: TcpStream,
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) writer: Box<dyn Write + Send + Sync>,
    /// What only the two ends of this very connection know; empty without TLS.
    pub(super) binding: Vec<u8>,
}

impl Link {
    /// A connection without TLS.
    pub(super) fn plain(tcp: TcpStream) -> io::Result<Link> {
        Ok(Link {
            reader: Box::new(tcp.try_clone()?),
            writer: Box::new(tcp.try_clone()?),
            binding: Vec::new(),
            tcp,
        })
    }

    /// Bounds each read and write.
    pub(super) fn set_timeouts(
        tcp: &TcpStream,
        read: Option<Duration>,
        write: Option<Duration>,
    ) -> io::Result<()> {
        tcp.set_nonblocking(false)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(read)?;
        tcp.set_write_timeout(write)
    }
}
