//! The threads that run the dataflow, and the one closure that builds it.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use timely::CommunicationConfig;
use timely::WorkerConfig;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::worker::Worker;

use super::feature_loop::feature_loop;
use super::features::Features;
use super::ingest::ingest;
use super::stage::Place;
use super::team::Team;
use crate::graph::EdgeRules;
use crate::model::{Error, Result};

/// How long an idle worker sleeps before it looks whether the run is given up.
const PARK: Duration = Duration::from_millis(100);

/// How long workers have to end the task that they are at when the run is given up.
const GRACE: Duration = Duration::from_millis(500);

/// What timely builds workers from, and what must outlive them.
type Communication = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

/// Runs the dataflow on the workers of this process until it has ended or is given up. Its errors are
/// in [`super::shared::Shared::failure`].
///
/// # Errors
/// When the workers cannot be started.
pub(super) fn run_workers(
    features: &Arc<Features>,
    team: &Team,
    rules: Arc<EdgeRules>,
) -> Result<()> {
    let cannot = |error| Error::engine(format!("the workers could not be started: {error}"));
    let (builders, others) = communication(team).map_err(cannot)?;
    let (ended, ends) = channel::<()>();
    let (all, shared) = (features.clone(), features.shared.clone());
    let guards =
        timely::execute::execute_from(builders, others, WorkerConfig::default(), move |worker| {
            let place = Place { shared: all.shared.clone(), worker: worker.index() };
            let _end = End { place: place.clone(), _ended: ended.clone() };
            worker.dataflow::<u64, _, _>(|scope| {
                let ready = ingest(scope, &place, EdgeRules::clone(&rules));
                feature_loop(scope, ready, &place, &all);
            });
            turn(worker, &place);
        })
        .map_err(cannot)?;
    // The channel closes when the last worker has ended.
    let mut given_up: Option<Instant> = None;
    while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(PARK) {
        if shared.abandoned() && given_up.get_or_insert_with(Instant::now).elapsed() > GRACE {
            // A task of theirs goes on; there is no way to stop a thread. The caller ends the process.
            std::mem::forget(guards);
            return Ok(());
        }
    }
    for outcome in guards.join() {
        if let Err(panic) = outcome {
            shared.fail(Error::engine(format!("a worker failed: {panic}")));
        }
    }
    Ok(())
}

/// Threads alone, or threads and the connections of the mesh.
fn communication(team: &Team) -> std::result::Result<Communication, String> {
    let threads = team.topology.threads;
    let Some(mesh) = team.mesh() else {
        let config = match threads {
            1 => CommunicationConfig::Thread,
            count => CommunicationConfig::Process(count),
        };
        return config.try_build();
    };
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), None);
    let (builders, guard) =
        initialize_networking_from_sockets(local, mesh.streams(), mesh.process(), threads, hooks)
            .map_err(|error| error.to_string())?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}

/// Gives the dataflow its turns until it has ended, or is given up.
fn turn(worker: &mut Worker, place: &Place) {
    while worker.has_dataflows() {
        worker.step_or_park(Some(PARK));
        if place.shared.abandoned() {
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
    }
}

/// Tells that a worker has ended, in whatever way.
struct End {
    place: Place,
    _ended: Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The other workers would wait for this one for ever; the panic itself is told by `join`.
            self.place.shared.fail(Error::engine("a worker failed"));
        }
    }
}
