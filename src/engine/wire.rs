//! The form that values take between processes: little-endian arrays, each after its length.
//!
//! Numbers take 8 bytes. An array is its length and its values as they lie in memory, padded to 8
//! bytes; small records go as postcard. Whoever reads checks every length against the bytes that are
//! there before anything is allocated, so that a damaged value is an error and never a large
//! allocation or a panic.

use bytemuck::{AnyBitPattern, NoUninit};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(target_endian = "big")]
compile_error!("values are sent as they lie in memory, which must be little-endian");

/// Why bytes are not the value that they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// A value that can go to another process.
pub(super) trait Wire: Sized {
    /// Writes the value.
    fn put(&self, to: &mut dyn Sink);

    /// Reads the value.
    fn get(from: &mut Bytes<'_>) -> Result<Self, Malformed>;

    /// How many bytes [`Wire::put`] writes.
    fn wire_bytes(&self) -> usize {
        counted(|to| self.put(to))
    }
}

/// How many bytes `put` writes.
pub(super) fn counted(put: impl FnOnce(&mut dyn Sink)) -> usize {
    let mut count = Count(0);
    put(&mut count);
    count.0
}

/// Where a value is written.
pub(super) trait Sink {
    /// Takes the next bytes.
    fn bytes(&mut self, bytes: &[u8]);
}

/// Counts bytes.
struct Count(usize);

impl Sink for Count {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes that are still to be read.
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }
}

/// Bytes that pad `length` to a multiple of 8.
fn padding(length: usize) -> usize {
    length.next_multiple_of(8) - length
}

/// Writes a number.
pub(super) fn put_number(number: u64, to: &mut dyn Sink) {
    to.bytes(&number.to_le_bytes());
}

/// Reads a number.
pub(super) fn get_number(from: &mut Bytes<'_>) -> Result<u64, Malformed> {
    let bytes = from.take(8)?.first_chunk().ok_or(Malformed("it is cut off"))?;
    Ok(u64::from_le_bytes(*bytes))
}

/// Reads a number that counts things in memory, or names one.
pub(super) fn get_index(from: &mut Bytes<'_>) -> Result<usize, Malformed> {
    usize::try_from(get_number(from)?).map_err(|_| Malformed("a number is too large"))
}

/// Writes an array.
pub(super) fn put_array<T: NoUninit>(values: &[T], to: &mut dyn Sink) {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    put_number(values.len() as u64, to);
    to.bytes(bytes);
    to.bytes(&[0; 8][..padding(bytes.len())]);
}

/// Reads an array.
pub(super) fn get_array<T: AnyBitPattern + NoUninit>(
    from: &mut Bytes<'_>,
) -> Result<Vec<T>, Malformed> {
    let length = get_index(from)?;
    let bytes = length.checked_mul(size_of::<T>()).ok_or(Malformed("a length is too large"))?;
    let values = from.take(bytes)?;
    from.take(padding(bytes))?;
    Ok(bytemuck::pod_collect_to_vec(values))
}

/// Writes a small record.
pub(super) fn put_record<T: Serialize>(record: &T, to: &mut dyn Sink) {
    // It fails on values of unknown length alone, which no record of ours has; the reader then finds
    // nothing and says so.
    put_array(&postcard::to_stdvec(record).unwrap_or_default(), to);
}

/// Reads a small record.
pub(super) fn get_record<T: DeserializeOwned>(from: &mut Bytes<'_>) -> Result<T, Malformed> {
    let bytes: Vec<u8> = get_array(from)?;
    postcard::from_bytes(&bytes).map_err(|_| Malformed("a record cannot be read"))
}

/// Offsets must ascend from 0 to `length`, or reading by them would be out of range.
pub(super) fn check_offsets<T>(offsets: &[T], length: usize) -> Result<(), Malformed>
where
    T: Copy + PartialOrd + TryInto<usize>,
{
    let first = offsets.first().copied().map(TryInto::try_into);
    let last = offsets.last().copied().map(TryInto::try_into);
    let whole = matches!(first, Some(Ok(0))) && matches!(last, Some(Ok(last)) if last == length);
    if whole && offsets.is_sorted() { Ok(()) } else { Err(Malformed("offsets do not fit")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_and_every_cut_is_an_error() {
        let mut bytes = Vec::new();
        put_array(&[1u32, 2, u32::MAX], &mut bytes);
        put_array(&[[3u32, 4]], &mut bytes);
        put_record(&(7u8, "seven".to_string()), &mut bytes);
        put_array::<i64>(&[], &mut bytes);
        let read = |bytes: &[u8]| -> Result<_, Malformed> {
            let mut from = Bytes(bytes);
            let values = get_array::<u32>(&mut from)?;
            let pairs = get_array::<[u32; 2]>(&mut from)?;
            let record: (u8, String) = get_record(&mut from)?;
            let empty = get_array::<i64>(&mut from)?;
            from.end()?;
            Ok((values, pairs, record, empty))
        };
        let whole = (vec![1, 2, u32::MAX], vec![[3, 4]], (7, "seven".to_string()), Vec::new());
        assert_eq!(read(&bytes), Ok(whole));
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "cut at {end}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes), Err(Malformed("bytes follow its end")));
    }

    #[test]
    fn absurd_lengths_are_errors_and_allocate_nothing() {
        for length in [u64::MAX, u64::MAX / 4, 1 << 40] {
            let mut bytes = Vec::new();
            put_number(length, &mut bytes);
            bytes.extend([0; 64]);
            assert!(get_array::<u64>(&mut Bytes(&bytes)).is_err());
            assert!(get_array::<u8>(&mut Bytes(&bytes)).is_err());
        }
    }

    #[test]
    fn offsets_must_ascend_to_the_end() {
        assert!(check_offsets(&[0u64, 3, 3, 7], 7).is_ok());
        assert!(check_offsets(&[0u32], 0).is_ok());
        for (offsets, length) in [
            (vec![], 0),
            (vec![1, 2], 2),
            (vec![0, 5, 3], 3),
            (vec![0, 2], 3),
            (vec![0, u64::MAX], 7),
        ] {
            assert!(check_offsets::<u64>(&offsets, length).is_err(), "{offsets:?}");
        }
    }
}
