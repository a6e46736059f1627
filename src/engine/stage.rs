//! The coarse operator: it gathers all blocks that are routed to its worker, then runs once.

use std::sync::Arc;

use timely::container::DrainContainer;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::ExchangeCore;
use timely::dataflow::operators::generic::Operator;

use super::block::{Block, ForSlot, Load};
use super::parcel::{Addressed, Builder, Inbox, Outbox, Parcel, Parcels};
use super::shared::Shared;
use super::wire::Malformed;
use crate::model::{Error, Result};

/// A stream of blocks. All of a run's ingestion happens at time 0; the loop of the features counts
/// its rounds.
pub(super) type Blocks<'scope> = Stream<'scope, u64, Parcels<Block>>;

/// Where an operator stands.
#[derive(Clone)]
pub(super) struct Place {
    pub shared: Arc<Shared>,
    pub worker: usize,
}

impl Place {
    /// A block from here.
    pub fn block(&self, to: usize, tag: u64, load: Load) -> Block {
        Block { to, from: self.worker, tag, load }
    }

    /// One block for each process, which puts `what` into its slot.
    pub fn share_out(&self, what: ForSlot) -> Vec<Block> {
        let firsts = self.shared.topology.firsts();
        firsts.map(|first| self.block(first, 0, Load::Shared(what.clone()))).collect()
    }

    /// Runs `work` as a piece of `stage` of this worker; see [`Shared::timed`].
    pub fn timed<T>(&self, stage: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        self.shared.timed(self.worker, stage, work)
    }

    /// Whether this worker keeps what its process has once.
    pub fn is_first(&self) -> bool {
        self.worker == self.shared.topology.first()
    }

    /// An outbox for one place of the dataflow.
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.shared.clone(), self.worker)
    }

    /// The error of a parcel that cannot be read.
    pub fn malformed(&self, what: &str, Malformed(reason): Malformed) -> Error {
        Error::engine(format!("a {what} from another process is damaged: {reason}"))
            .remedy("check that all processes are of one build, then run again")
    }
}

/// Sends each parcel to its worker.
pub(super) fn route<T: Addressed + 'static>()
-> ExchangeCore<Builder<T>, impl FnMut(&Parcel<T>) -> u64 + 'static> {
    ExchangeCore::new(|parcel: &Parcel<T>| parcel.to() as u64)
}

/// Adds the operator `name`, a piece of the stage `stage`. When no block can come any more, `logic`
/// gets all of them in ascending order of tag, then sender, and gives the blocks to send on.
///
/// What is for a slot goes there as it comes, and `logic` does not see it. By the time that any `logic`
/// of this operator runs, in any process, every slot is filled in all of them: timely takes a
/// message off its account when the operator that got it has returned, and the frontier is
/// empty only when all are off.
pub(super) fn gather<'scope>(
    blocks: Blocks<'scope>,
    name: &'static str,
    stage: &'static str,
    place: &Place,
    logic: impl FnOnce(Vec<Block>) -> Result<Vec<Block>> + 'static,
) -> Blocks<'scope> {
    let place = place.clone();
    blocks.unary_frontier::<Builder<Block>, _, _, _>(route(), name, move |capability, _info| {
        let mut capability = Some(capability);
        let mut logic = Some(logic);
        let mut inbox: Vec<Block> = Vec::new();
        let (mut unpacked, mut outbox) = (Inbox::default(), place.outbox());
        move |(input, frontier), output| {
            input.for_each(|_, data| {
                for parcel in data.drain() {
                    match unpacked.unpack(parcel) {
                        Ok(Some(block)) => inbox.extend(place.shared.install(block)),
                        Ok(None) => {}
                        Err(damage) => place.shared.fail(place.malformed("block", damage)),
                    }
                }
            });
            if !frontier.frontier().is_empty() {
                return;
            }
            let (Some(capability), Some(logic)) = (capability.take(), logic.take()) else {
                return;
            };
            let mut inbox = std::mem::take(&mut inbox);
            inbox.sort_by_key(|block| (block.tag, block.from));
            let blocks = place.timed(stage, || logic(inbox)).unwrap_or_default();
            let mut session = output.session(&capability);
            for block in blocks {
                session.give_iterator(outbox.pack(stage, block).into_iter());
            }
        }
    })
}
