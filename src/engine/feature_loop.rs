//! The dataflow of the features stage: driver -> work -> write, and back.

use std::collections::VecDeque;
use std::sync::Arc;

use timely::container::DrainContainer;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Capability, Concat, ConnectLoop, Feedback};
use timely::dataflow::{Scope, Stream};

use super::driver::Driver;
use super::features::Features;
use super::hands::{Hands, Writers};
use super::message::{Body, Message};
use super::parcel::{Builder, Inbox, Parcels};
use super::stage::{Blocks, Place, route};

type Messages<'scope> = Stream<'scope, u64, Parcels<Message>>;

/// Adds the loop; it ends when the drivers send nothing more.
pub(super) fn feature_loop<'scope>(
    scope: Scope<'scope, u64>,
    ready: Blocks<'scope>,
    place: &Place,
    features: &Arc<Features>,
) {
    let (handle, cycle) = scope.feedback::<Parcels<Message>>(1);
    let tokens = drive(begin(ready, place).concat(cycle), place, features);
    let results = work(scope, tokens, place, features);
    write(results, place, features).connect_loop(handle);
}

/// The messages of the parcels in `data`; one that cannot be read ends the run.
fn messages(place: &Place, inbox: &mut Inbox, data: &mut Parcels<Message>) -> Vec<Message> {
    let mut messages = Vec::new();
    for parcel in data.drain() {
        match inbox.unpack(parcel) {
            Ok(message) => messages.extend(message),
            Err(damage) => place.shared.fail(place.malformed("message", damage)),
        }
    }
    messages
}

/// A message to the driver for the block that says that the graph stands.
fn begin<'scope>(ready: Blocks<'scope>, place: &Place) -> Messages<'scope> {
    let (to, mut outbox) = (place.shared.topology.first(), place.outbox());
    ready.unary::<Builder<Message>, _, _, _>(route(), "begin", move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                for _ in data.drain() {
                    let parcels = outbox.pack("adjacency", Message { to, body: Body::Begin });
                    output.session(&capability).give_iterator(parcels.into_iter());
                }
            });
        }
    })
}

/// The driver: only the first worker of each process ever gets a message here.
fn drive<'scope>(
    stream: Messages<'scope>,
    place: &Place,
    features: &Arc<Features>,
) -> Messages<'scope> {
    let (place, mut driver) = (place.clone(), Driver::new(features.clone()));
    let (mut inbox, mut outbox) = (Inbox::default(), place.outbox());
    stream.unary::<Builder<Message>, _, _, _>(route(), "driver", move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                for message in messages(&place, &mut inbox, data) {
                    if place.shared.stopped() {
                        continue;
                    }
                    match driver.receive(message.body) {
                        Ok(answers) => {
                            let mut session = output.session(&capability);
                            for answer in answers {
                                session.give_iterator(outbox.pack("features", answer).into_iter());
                            }
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
    let (mut inbox, mut outbox) = (Inbox::default(), place.outbox());
    tokens.unary::<Builder<Message>, _, _, _>(route(), "work", move |_, info| {
        let activator = scope.activator_for(info.address);
        let mut due: VecDeque<(Capability<u64>, u64)> = VecDeque::new();
        let mut hands = Hands::default();
        move |input, output| {
            input.for_each(|capability, data| {
                for message in messages(&place, &mut inbox, data) {
                    let retained = capability.retain_least(0);
                    if let (Body::Token(number), Some(retained)) = (message.body, retained) {
                        // The writer of this worker may hold rows that came before the phase began.
                        let to = place.worker;
                        let parcels =
                            outbox.pack("write", Message { to, body: Body::Token(number) });
                        output.session(&retained).give_iterator(parcels.into_iter());
                        due.push_back((retained, number));
                    }
                }
            });
            let Some((capability, number)) = due.front() else { return };
            match hands.take(&place, &features, *number) {
                Some((stage, results)) => {
                    let mut session = output.session(capability);
                    for message in results {
                        session.give_iterator(outbox.pack(&stage, message).into_iter());
                    }
                }
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
    let (mut inbox, mut outbox) = (Inbox::default(), place.outbox());
    let topology = place.shared.topology;
    results.unary::<Builder<Message>, _, _, _>(route(), "write", move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                let mut session = output.session(&capability);
                for message in messages(&place, &mut inbox, data) {
                    let (number, files) = match message.body {
                        Body::Rows(number, block, rows) => {
                            (number, place.timed("write", || writers.write(number, block, rows)))
                        }
                        Body::Token(number) => {
                            (number, place.timed("write", || writers.write_early(number)))
                        }
                        body => {
                            let message = Message { to: message.to, body };
                            session.give_iterator(outbox.pack("write", message).into_iter());
                            continue;
                        }
                    };
                    for file in files.into_iter().flatten() {
                        let mut file = Some(Box::new(file));
                        for to in topology.firsts() {
                            // Worker 0 comes first.
                            let message = Message { to, body: Body::Written(number, file.take()) };
                            session.give_iterator(outbox.pack("write", message).into_iter());
                        }
                    }
                }
            });
        }
    })
}
