//! The coarse operator: it gathers all blocks that are routed to its worker, then runs once.

use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

use super::block::Block;
use super::shared::Shared;
use crate::model::Result;

/// A stream of blocks. All of a run's ingestion happens at time 0; the loop of the features counts
/// its rounds.
pub(super) type Blocks<'scope> = Stream<'scope, u64, Vec<Block>>;

/// Where an operator stands.
#[derive(Clone)]
pub(super) struct Place {
    pub shared: Arc<Shared>,
    pub worker: usize,
}

impl Place {
    /// A block from here.
    pub fn block(&self, to: usize, tag: u64, load: super::block::Load) -> Block {
        Block { to, from: self.worker, tag, load }
    }

    /// One `Ready` block for every worker.
    pub fn ready(&self) -> Vec<Block> {
        let load = || super::block::Load::Ready;
        (0..self.shared.workers).map(|worker| self.block(worker, 0, load())).collect()
    }
}

/// Adds the operator `name`, a piece of the stage `stage`. When no block can come any more, `logic`
/// gets all of them in ascending order of tag, then sender, and gives the blocks to send on.
pub(super) fn gather<'scope>(
    blocks: Blocks<'scope>,
    name: &'static str,
    stage: &'static str,
    place: &Place,
    logic: impl FnOnce(Vec<Block>) -> Result<Vec<Block>> + 'static,
) -> Blocks<'scope> {
    let place = place.clone();
    let route = Exchange::new(|block: &Block| block.to as u64);
    blocks.unary_frontier::<CapacityContainerBuilder<Vec<Block>>, _, _, _>(
        route,
        name,
        move |capability, _info| {
            let mut capability = Some(capability);
            let mut logic = Some(logic);
            let mut inbox: Vec<Block> = Vec::new();
            move |(input, frontier), output| {
                input.for_each(|_, data| inbox.append(data));
                if !frontier.frontier().is_empty() {
                    return;
                }
                let (Some(capability), Some(logic)) = (capability.take(), logic.take()) else {
                    return;
                };
                let mut inbox = std::mem::take(&mut inbox);
                inbox.sort_by_key(|block| (block.tag, block.from));
                let outbox = place.shared.timed(stage, || logic(inbox)).unwrap_or_default();
                output.session(&capability).give_iterator(outbox.into_iter());
            }
        },
    )
}
