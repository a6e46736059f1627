//! How values travel between workers: by pointer within a process, as bytes between processes.
//!
//! A [`Parcel`] is a value on its way. One that takes more than [`PART_BYTES`] between processes goes
//! in parts, so that no message is large; the [`Inbox`] of the receiver puts it together. [`Parcels`] is
//! timely's container of them, of one parcel each: a value is routed whole.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use timely::container::{
    Accountable, CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer,
};
use timely::dataflow::channels::ContainerBytes;

use super::shared::Shared;
use super::wire::{self, Bytes, Malformed, Sink, Wire};

/// Bytes of a parcel between processes, at most but for a header.
const PART_BYTES: usize = 1 << 20;

/// A value that goes to one worker.
pub(super) trait Addressed {
    /// The worker that it goes to.
    fn to(&self) -> usize;
}

/// A value on its way.
#[derive(Clone, Debug)]
pub(super) enum Parcel<T> {
    /// All of it.
    Whole(T),
    /// A piece of its bytes.
    Part(Part),
    /// What came cannot be read.
    Damaged(&'static str),
}

/// A piece of a value's bytes.
#[derive(Clone, Debug)]
pub(super) struct Part {
    to: usize,
    from: usize,
    /// Tells the values of a sender apart.
    serial: u64,
    /// The place of the piece, and how many there are.
    index: usize,
    count: usize,
    bytes: Vec<u8>,
}

impl<T: Addressed> Addressed for Parcel<T> {
    fn to(&self) -> usize {
        match self {
            Parcel::Whole(value) => value.to(),
            Parcel::Part(part) => part.to,
            Parcel::Damaged(_) => 0,
        }
    }
}

/// Makes parcels of the values that a worker sends in one place of the dataflow.
pub(super) struct Outbox {
    shared: Arc<Shared>,
    from: usize,
    serial: u64,
}

impl Outbox {
    /// The outbox of worker `from`.
    pub fn new(shared: Arc<Shared>, from: usize) -> Outbox {
        Outbox { shared, from, serial: 0 }
    }

    /// The parcels of `value`, sent in stage `stage`.
    pub fn pack<T: Addressed + Wire>(&mut self, stage: &str, value: T) -> Vec<Parcel<T>> {
        let (to, topology) = (value.to(), self.shared.topology);
        if topology.process_of(to) == topology.process {
            return vec![Parcel::Whole(value)];
        }
        let total = value.wire_bytes();
        self.shared.sent(stage, total as u64);
        if total <= PART_BYTES {
            return vec![Parcel::Whole(value)];
        }
        let mut bytes = Vec::with_capacity(total);
        value.put(&mut bytes);
        drop(value);
        self.serial += 1;
        let (from, serial, count) = (self.from, self.serial, bytes.len().div_ceil(PART_BYTES));
        let pieces = bytes.chunks(PART_BYTES).enumerate();
        let part = |(index, bytes): (usize, &[u8])| {
            Parcel::Part(Part { to, from, serial, index, count, bytes: bytes.to_vec() })
        };
        pieces.map(part).collect()
    }
}

/// Puts parcels together.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Values that are not complete, by sender and serial number.
    open: HashMap<(usize, u64), Pieces>,
}

/// The pieces of a value that have come.
#[derive(Debug)]
struct Pieces {
    pieces: Vec<Option<Vec<u8>>>,
    missing: usize,
}

impl Inbox {
    /// The value of `parcel`, if it is complete.
    pub fn unpack<T: Wire>(&mut self, parcel: Parcel<T>) -> Result<Option<T>, Malformed> {
        match parcel {
            Parcel::Whole(value) => Ok(Some(value)),
            Parcel::Damaged(reason) => Err(Malformed(reason)),
            Parcel::Part(part) => {
                let key = (part.from, part.serial);
                let count = part.count.min(PARTS_MAX);
                let value = self
                    .open
                    .entry(key)
                    .or_insert_with(|| Pieces { pieces: vec![None; count], missing: count });
                match value.pieces.get_mut(part.index) {
                    Some(place @ None) => *place = Some(part.bytes),
                    _ => return Err(Malformed("a part is out of place")),
                }
                value.missing -= 1;
                if value.missing > 0 {
                    return Ok(None);
                }
                let Some(value) = self.open.remove(&key) else { return Ok(None) };
                let bytes = value.pieces.into_iter().flatten().collect::<Vec<_>>().concat();
                let mut from = Bytes(&bytes);
                let value = T::get(&mut from)?;
                from.end()?;
                Ok(Some(value))
            }
        }
    }
}

/// Parts of a value at most: a tebibyte.
const PARTS_MAX: usize = 1 << 20;

/// Timely's container: one parcel.
#[derive(Clone, Debug)]
pub(super) struct Parcels<T>(Vec<Parcel<T>>);

/// Builds containers of one parcel each.
pub(super) type Builder<T> = CapacityContainerBuilder<Parcels<T>>;

impl<T> Default for Parcels<T> {
    fn default() -> Self {
        Parcels(Vec::new())
    }
}

impl<T> Accountable for Parcels<T> {
    fn record_count(&self) -> i64 {
        self.0.len() as i64
    }
}

impl<T> DrainContainer for Parcels<T> {
    type Item<'a>
        = Parcel<T>
    where
        T: 'a;
    type DrainIter<'a>
        = std::vec::Drain<'a, Parcel<T>>
    where
        T: 'a;

    fn drain(&mut self) -> Self::DrainIter<'_> {
        self.0.drain(..)
    }
}

impl<T> SizableContainer for Parcels<T> {
    fn at_capacity(&self) -> bool {
        !self.0.is_empty()
    }

    fn ensure_capacity(&mut self, _stash: &mut Option<Self>) {}
}

impl<T> PushInto<Parcel<T>> for Parcels<T> {
    fn push_into(&mut self, parcel: Parcel<T>) {
        self.0.push(parcel);
    }
}

/// The first number of a parcel's bytes.
const WHOLE: u64 = 1;
const PART: u64 = 2;

impl<T: Wire> Parcels<T> {
    fn put(&self, to: &mut dyn Sink) {
        wire::put_number(self.0.len() as u64, to);
        for parcel in &self.0 {
            match parcel {
                Parcel::Whole(value) => {
                    wire::put_number(WHOLE, to);
                    value.put(to);
                }
                Parcel::Part(part) => {
                    wire::put_number(PART, to);
                    let numbers =
                        [part.to, part.from, part.serial as usize, part.index, part.count];
                    numbers.iter().for_each(|&number| wire::put_number(number as u64, to));
                    wire::put_array(&part.bytes, to);
                }
                // It was never a value: the receiver reads it as damaged again.
                Parcel::Damaged(_) => wire::put_number(0, to),
            }
        }
    }

    fn get(from: &mut Bytes<'_>) -> Result<Vec<Parcel<T>>, Malformed> {
        let count = wire::get_index(from)?;
        let mut parcels = Vec::new();
        for _ in 0..count {
            parcels.push(match wire::get_number(from)? {
                WHOLE => Parcel::Whole(T::get(from)?),
                PART => Parcel::Part(Part {
                    to: wire::get_index(from)?,
                    from: wire::get_index(from)?,
                    serial: wire::get_number(from)?,
                    index: wire::get_index(from)?,
                    count: wire::get_index(from)?,
                    bytes: wire::get_array(from)?,
                }),
                _ => return Err(Malformed("it is no parcel")),
            });
        }
        Ok(parcels)
    }
}

impl<T: Wire> ContainerBytes for Parcels<T> {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let parcels = Parcels::get(&mut Bytes(&bytes));
        // One parcel a container, so that what is counted as sent is counted as received.
        Parcels(parcels.unwrap_or_else(|Malformed(reason)| vec![Parcel::Damaged(reason)]))
    }

    fn length_in_bytes(&self) -> usize {
        wire::counted(|to| self.put(to))
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        struct To<'a, W>(&'a mut W);
        impl<W: Write> Sink for To<'_, W> {
            fn bytes(&mut self, bytes: &[u8]) {
                // Timely gives a slice of the length that was asked for: a short write would show as a
                // damaged parcel at the receiver.
                let _ = self.0.write_all(bytes);
            }
        }
        self.put(&mut To(writer));
    }
}
