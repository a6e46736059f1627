//! Blocks: what the operators of the ingestion send to one another.
//!
//! A block is a header (destination, source, tag) and arrays of plain values. It is routed whole;
//! within a process it moves by pointer, between processes as [`super::wire`] has it.

use std::sync::Arc;

use super::parcel::Addressed;
use super::wire::{self, Bytes, Malformed, Sink, Wire};
use crate::graph::{Csr, NodeSet, PairRun, Pairs, Ranges, Shard};
use crate::kernels::aggregate::{EventTotals, SideTotals};
use crate::model::{Keys, Reject, ScanStats, Side};

/// A block of the ingestion stages.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The worker that it goes to.
    pub to: usize,
    /// The worker that it comes from.
    pub from: usize,
    /// What it is about: the index of a range, for example. Receivers read blocks in ascending
    /// order of tag, then sender, so that arrival order cannot matter.
    pub tag: u64,
    /// The values.
    pub load: Load,
}

/// What a block carries. What goes to several processes is shared, so that it is not copied for each.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// Nothing: what there is to know stands in a slot.
    Ready,
    /// What a process has read, and the rows that it rejects.
    Scan(ScanStats, Vec<Reject>),
    /// Distinct keys of a side, ascending.
    Keys(Side, Keys),
    /// Events per cell of left nodes.
    Counts(Vec<u64>),
    /// Events of a range of left nodes.
    Events(Vec<PairRun>),
    /// Degrees of a range of left nodes, or of all right nodes.
    Degrees(Side, Vec<u32>),
    /// Edges of a range of right nodes.
    Pairs(Vec<PairRun>),
    /// A finished range of the adjacency of a side.
    Shard(Side, Arc<Shard>),
    /// Totals over the events of a worker's ranges.
    Totals(EventTotals),
    /// For a slot: something that every process has.
    Shared(ForSlot),
}

/// What every process keeps in a slot.
#[derive(Clone, Debug)]
pub(super) enum ForSlot {
    /// All keys of a side, ascending.
    Dictionary(Side, Arc<Keys>),
    /// The ranges of the nodes of a side.
    Ranges(Side, Arc<Ranges>),
    /// The left and right nodes that pass so-and-so keeps.
    Kept(usize, Arc<(NodeSet, NodeSet)>),
    /// Totals over all events.
    Totals(Arc<EventTotals>),
}

impl Addressed for Block {
    fn to(&self) -> usize {
        self.to
    }
}

impl Wire for Block {
    fn put(&self, to: &mut dyn Sink) {
        for number in [self.to as u64, self.from as u64, self.tag, self.load.kind()] {
            wire::put_number(number, to);
        }
        match &self.load {
            Load::Ready => {}
            Load::Scan(stats, rejects) => {
                wire::put_record(stats, to);
                wire::put_record(rejects, to);
            }
            Load::Keys(side, keys) => put_keys(*side, keys, to),
            Load::Counts(counts) => wire::put_array(counts, to),
            Load::Events(runs) | Load::Pairs(runs) => {
                wire::put_number(runs.len() as u64, to);
                runs.iter().for_each(|run| put_run(run, to));
            }
            Load::Degrees(side, degrees) => {
                put_side(*side, to);
                wire::put_array(degrees, to);
            }
            Load::Shard(side, shard) => {
                put_side(*side, to);
                wire::put_array(&[shard.range.start, shard.range.end], to);
                wire::put_array(&shard.csr.offsets, to);
                wire::put_array(&shard.csr.targets, to);
                wire::put_array(&shard.csr.weights, to);
            }
            Load::Totals(totals) => put_totals(totals, to),
            Load::Shared(ForSlot::Dictionary(side, keys)) => put_keys(*side, keys, to),
            Load::Shared(ForSlot::Ranges(side, ranges)) => {
                put_side(*side, to);
                wire::put_record(&**ranges, to);
            }
            Load::Shared(ForSlot::Kept(pass, kept)) => {
                wire::put_number(*pass as u64, to);
                for set in [&kept.0, &kept.1] {
                    wire::put_number(set.nodes() as u64, to);
                    wire::put_array(set.words(), to);
                }
            }
            Load::Shared(ForSlot::Totals(totals)) => put_totals(totals, to),
        }
    }

    fn get(from: &mut Bytes<'_>) -> Result<Block, Malformed> {
        let (to, sender) = (wire::get_index(from)?, wire::get_index(from)?);
        let tag = wire::get_number(from)?;
        let load = match wire::get_number(from)? {
            0 => Load::Ready,
            1 => Load::Scan(wire::get_record(from)?, wire::get_record(from)?),
            2 => Load::Keys(get_side(from)?, get_keys(from)?),
            3 => Load::Counts(wire::get_array(from)?),
            4 => Load::Events(get_runs(from)?),
            5 => Load::Degrees(get_side(from)?, wire::get_array(from)?),
            6 => Load::Pairs(get_runs(from)?),
            7 => Load::Shard(get_side(from)?, Arc::new(get_shard(from)?)),
            8 => Load::Totals(get_totals(from)?),
            9 => Load::Shared(ForSlot::Dictionary(get_side(from)?, Arc::new(get_keys(from)?))),
            10 => Load::Shared(ForSlot::Ranges(get_side(from)?, Arc::new(wire::get_record(from)?))),
            11 => Load::Shared(ForSlot::Kept(
                wire::get_index(from)?,
                Arc::new((get_set(from)?, get_set(from)?)),
            )),
            12 => Load::Shared(ForSlot::Totals(Arc::new(get_totals(from)?))),
            _ => return Err(Malformed("it is no load")),
        };
        Ok(Block { to, from: sender, tag, load })
    }
}

impl Load {
    /// What tells the load's form to its reader.
    fn kind(&self) -> u64 {
        match self {
            Load::Ready => 0,
            Load::Scan(..) => 1,
            Load::Keys(..) => 2,
            Load::Counts(_) => 3,
            Load::Events(_) => 4,
            Load::Degrees(..) => 5,
            Load::Pairs(_) => 6,
            Load::Shard(..) => 7,
            Load::Totals(_) => 8,
            Load::Shared(ForSlot::Dictionary(..)) => 9,
            Load::Shared(ForSlot::Ranges(..)) => 10,
            Load::Shared(ForSlot::Kept(..)) => 11,
            Load::Shared(ForSlot::Totals(_)) => 12,
        }
    }
}

fn put_side(side: Side, to: &mut dyn Sink) {
    wire::put_number(u64::from(side == Side::Right), to);
}

fn get_side(from: &mut Bytes<'_>) -> Result<Side, Malformed> {
    match wire::get_number(from)? {
        0 => Ok(Side::Left),
        1 => Ok(Side::Right),
        _ => Err(Malformed("it is no side")),
    }
}

fn put_keys(side: Side, keys: &Keys, to: &mut dyn Sink) {
    put_side(side, to);
    match keys {
        Keys::Int64(values) => {
            wire::put_number(0, to);
            wire::put_array(values, to);
        }
        Keys::Utf8 { offsets, bytes } => {
            wire::put_number(1, to);
            wire::put_array(offsets, to);
            wire::put_array(bytes, to);
        }
    }
}

fn get_keys(from: &mut Bytes<'_>) -> Result<Keys, Malformed> {
    match wire::get_number(from)? {
        0 => Ok(Keys::Int64(wire::get_array(from)?)),
        1 => {
            let (offsets, bytes) = (wire::get_array(from)?, wire::get_array::<u8>(from)?);
            wire::check_offsets::<u64>(&offsets, bytes.len())?;
            Ok(Keys::Utf8 { offsets, bytes })
        }
        _ => Err(Malformed("it is no type of keys")),
    }
}

fn put_run(run: &PairRun, to: &mut dyn Sink) {
    match &run.pairs {
        Pairs::Narrow(words) => {
            wire::put_number(0, to);
            wire::put_array(words, to);
        }
        Pairs::Wide(words) => {
            wire::put_number(1, to);
            wire::put_array(words, to);
        }
    }
    wire::put_array(&run.age_action, to);
    wire::put_array(&run.weight, to);
}

fn get_runs(from: &mut Bytes<'_>) -> Result<Vec<PairRun>, Malformed> {
    let mut runs = Vec::new();
    for _ in 0..wire::get_index(from)? {
        let pairs = match wire::get_number(from)? {
            0 => Pairs::Narrow(wire::get_array(from)?),
            1 => Pairs::Wide(wire::get_array(from)?),
            _ => return Err(Malformed("it is no width of pairs")),
        };
        let (age_action, weight) = (wire::get_array(from)?, wire::get_array::<i64>(from)?);
        let fits = |length: usize| length == 0 || length == pairs.len();
        if !fits(age_action.len()) || !fits(weight.len()) {
            return Err(Malformed("columns of events differ"));
        }
        runs.push(PairRun { pairs, age_action, weight });
    }
    Ok(runs)
}

fn get_shard(from: &mut Bytes<'_>) -> Result<Shard, Malformed> {
    let range: Vec<u32> = wire::get_array(from)?;
    let [start, end] = range[..] else { return Err(Malformed("it is no range")) };
    let csr = Csr {
        offsets: wire::get_array(from)?,
        targets: wire::get_array(from)?,
        weights: wire::get_array(from)?,
    };
    wire::check_offsets(&csr.offsets, csr.targets.len())?;
    let rows = end.checked_sub(start).ok_or(Malformed("it is no range"))?;
    let weighed = csr.weights.is_empty() || csr.weights.len() == csr.targets.len();
    match csr.nodes() == rows as usize && weighed {
        true => Ok(Shard { range: start..end, csr }),
        false => Err(Malformed("rows and range differ")),
    }
}

fn get_set(from: &mut Bytes<'_>) -> Result<NodeSet, Malformed> {
    let nodes = wire::get_index(from)?;
    NodeSet::from_words(nodes, wire::get_array(from)?).ok_or(Malformed("it is no set of nodes"))
}

fn put_totals(totals: &EventTotals, to: &mut dyn Sink) {
    wire::put_record(&(&totals.actions, totals.timed), to);
    for side in [&totals.left, &totals.right] {
        let (slots, cells, ages) = side.parts();
        wire::put_number(slots as u64, to);
        let words = |pick: fn(&crate::kernels::aggregate::Cell) -> u64| {
            cells.iter().map(pick).collect::<Vec<u64>>()
        };
        wire::put_array(&words(|cell| cell.weight.cast_unsigned()), to);
        wire::put_array(&words(|cell| u64::from(cell.events) << 32 | u64::from(cell.distinct)), to);
        wire::put_array(ages, to);
    }
}

fn get_totals(from: &mut Bytes<'_>) -> Result<EventTotals, Malformed> {
    let (actions, timed) = wire::get_record(from)?;
    let mut side = || -> Result<SideTotals, Malformed> {
        let slots = wire::get_index(from)?;
        let (weights, counts) = (wire::get_array::<u64>(from)?, wire::get_array::<u64>(from)?);
        let ages = wire::get_array::<u64>(from)?;
        let cell = |(&weight, &counts): (&u64, &u64)| crate::kernels::aggregate::Cell {
            weight: weight.cast_signed(),
            events: (counts >> 32) as u32,
            distinct: counts as u32,
        };
        let cells = weights.iter().zip(&counts).map(cell).collect();
        SideTotals::from_parts(slots, cells, ages).ok_or(Malformed("totals do not fit"))
    };
    Ok(EventTotals { actions, timed, left: side()?, right: side()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(load: Load) {
        let block = Block { to: 3, from: 1, tag: u64::MAX, load };
        let mut bytes = Vec::new();
        block.put(&mut bytes);
        assert_eq!(bytes.len(), block.wire_bytes());
        assert_eq!(bytes.len() % 8, 0);
        let mut from = Bytes(&bytes);
        let back = Block::get(&mut from).unwrap();
        from.end().unwrap();
        assert_eq!(format!("{back:?}"), format!("{block:?}"));
        for end in (0..bytes.len()).step_by(8) {
            assert!(Block::get(&mut Bytes(&bytes[..end])).is_err(), "{block:?} cut at {end}");
        }
        // No damage of one byte may panic; most of it cannot be told from another value.
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x80;
            let _ = Block::get(&mut Bytes(&damaged));
        }
    }

    #[test]
    fn every_load_comes_back_and_every_cut_is_an_error() {
        let csr = Csr { offsets: vec![0, 2, 3], targets: vec![1, 9, 4], weights: vec![5, -6, 7] };
        let shard = Arc::new(Shard { range: 7..9, csr });
        let mut totals = EventTotals::new(vec!["save".into()], true, 2, 3);
        totals.left.event(1, 2, 77, -5);
        let text = Keys::Utf8 { offsets: vec![0, 1, 3], bytes: b"abc".to_vec() };
        let sets = (NodeSet::from_degrees(&[1, 0, 2], 1), NodeSet::from_degrees(&[0; 70], 1));
        let mut stats = ScanStats { rows_read: 5, ..ScanStats::default() };
        stats.rows_by_action.insert("save".into(), 4);
        let reject = Reject {
            path: "a/b.csv".into(),
            position: 7,
            column: "user".into(),
            reason: "empty".into(),
            value: String::new(),
        };
        let run = |pairs| PairRun { pairs, age_action: vec![3, 4], weight: Vec::new() };
        for load in [
            Load::Ready,
            Load::Scan(stats, vec![reject]),
            Load::Keys(Side::Left, Keys::Int64(vec![-1, 5])),
            Load::Keys(Side::Right, text.clone()),
            Load::Counts(vec![1, 2]),
            Load::Events(vec![run(Pairs::Narrow(vec![7, 8])), run(Pairs::Wide(vec![1 << 40, 9]))]),
            Load::Degrees(Side::Right, vec![1, 2, 3]),
            Load::Pairs(vec![run(Pairs::Narrow(vec![5, 6]))]),
            Load::Shard(Side::Left, shard),
            Load::Totals(totals.clone()),
            Load::Shared(ForSlot::Dictionary(Side::Right, Arc::new(text))),
            Load::Shared(ForSlot::Ranges(Side::Left, Arc::new(Ranges::whole(5000)))),
            Load::Shared(ForSlot::Kept(1, Arc::new(sets))),
            Load::Shared(ForSlot::Totals(Arc::new(totals))),
        ] {
            round_trip(load);
        }
    }
}
