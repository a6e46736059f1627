//! The dataflow of the features stage: driver -> work -> write, and back.

use std::collections::VecDeque;
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Capability, Concat, ConnectLoop, Feedback};
use timely::dataflow::{Scope, Stream};

use super::block::Block;
use super::features::{Body, Driver, Features, Hands, Message, Writers};
use super::stage::{Blocks, Place};

type Messages<'scope> = Stream<'scope, u64, Vec<Message>>;
type Builder = CapacityContainerBuilder<Vec<Message>>;

/// Sends each message to its worker.
fn route() -> Exchange<Message, impl FnMut(&Message) -> u64 + 'static> {
    Exchange::new(|message: &Message| message.to as u64)
}

/// Adds the loop; it ends when the driver sends nothing more.
pub(super) fn feature_loop<'scope>(
    scope: Scope<'scope, u64>,
    ready: Blocks<'scope>,
    place: &Place,
    features: &Arc<Features>,
) {
    let (handle, cycle) = scope.feedback::<Vec<Message>>(1);
    let begin = ready.map(|_: Block| Message { to: 0, body: Body::Begin });
    let tokens = drive(begin.container::<Vec<Message>>().concat(cycle), place, features);
    let results = work(scope, tokens, place, features);
    write(results, place, features).connect_loop(handle);
}

/// The driver: only worker 0 ever gets a message here.
fn drive<'scope>(
    messages: Messages<'scope>,
    place: &Place,
    features: &Arc<Features>,
) -> Messages<'scope> {
    let (place, mut driver) = (place.clone(), Driver::new(features.clone()));
    messages.unary::<Builder, _, _, _>(route(), "driver", move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                for message in data.drain(..) {
                    if place.shared.stopped() {
                        continue;
                    }
                    match driver.receive(message.body) {
                        Ok(answers) => {
                            output.session(&capability).give_iterator(answers.into_iter());
                        }
                        Err(error) => place.shared.fail(error),
                    }
                }
            });
        }
    })
}

/// The work operator: one task each time it is scheduled, so that the writers get their turn.
fn work<'scope>(
    scope: Scope<'scope, u64>,
    tokens: Messages<'scope>,
    place: &Place,
    features: &Arc<Features>,
) -> Messages<'scope> {
    let (place, features) = (place.clone(), features.clone());
    tokens.unary::<Builder, _, _, _>(route(), "work", move |_, info| {
        let activator = scope.activator_for(info.address);
        let mut due: VecDeque<(Capability<u64>, u64)> = VecDeque::new();
        let mut hands = Hands::default();
        move |input, output| {
            input.for_each(|capability, data| {
                for message in data.drain(..) {
                    let retained = capability.retain_least(0);
                    if let (Body::Token(number), Some(retained)) = (message.body, retained) {
                        due.push_back((retained, number));
                    }
                }
            });
            let Some((capability, number)) = due.front() else { return };
            match hands.take(&features, *number) {
                Some(message) => output.session(capability).give(message),
                None => drop(due.pop_front()),
            }
            if !due.is_empty() && !place.shared.stopped() {
                activator.activate();
            } else if place.shared.stopped() {
                due.clear();
            }
        }
    })
}

/// The write operator: rows go into files, everything else goes on to the driver.
fn write<'scope>(
    results: Messages<'scope>,
    place: &Place,
    features: &Arc<Features>,
) -> Messages<'scope> {
    let (place, mut writers) = (place.clone(), Writers::new(features.clone()));
    results.unary::<Builder, _, _, _>(route(), "write", move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                for message in data.drain(..) {
                    let body = match message.body {
                        Body::Rows(block, rows) => {
                            match place.shared.timed("write", || writers.write(block, rows)) {
                                Some(true) => Body::Written,
                                _ => continue,
                            }
                        }
                        body => body,
                    };
                    output.session(&capability).give(Message { to: 0, body });
                }
            });
        }
    })
}
