//! A mesh of three under a real dataflow.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use pingraph::cluster::{MESSAGE_MAX, Mesh};
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::dataflow::operators::{Exchange, ToStream};
use timely::dataflow::operators::{Inspect, Probe};

use super::support::{Lines, close, meshes, messages, until};

const WORKERS: usize = 2;

/// Starts `count` numbers a worker through an exchange; gives the sum of all that arrive here.
pub fn start(mesh: &Mesh, count: u64) -> (WorkerGuards<()>, Arc<AtomicU64>, Arc<AtomicU64>) {
    let hooks = Hooks::default();
    let inside =
        ProcessBuilder::new_typed_vector(WORKERS, hooks.refill.clone(), hooks.spill.clone());
    let (builders, guard) =
        initialize_networking_from_sockets(inside, mesh.streams(), mesh.process(), WORKERS, hooks)
            .unwrap();
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    let (sum, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (into_sum, into_seen) = (Arc::clone(&sum), Arc::clone(&seen));
    let config = WorkerConfig::default();
    let lost = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&lost);
    mesh.on_lost(Arc::new(move |_| tell.store(true, Ordering::SeqCst)));
    let guards = timely::execute::execute_from(builders, Box::new(guard), config, move |worker| {
        let first = worker.index() as u64 * count;
        let (sum, seen) = (Arc::clone(&into_sum), Arc::clone(&into_seen));
        let probe = worker.dataflow::<u64, _, _>(|scope| {
            (first..first + count)
                .to_stream(scope)
                .container::<Vec<_>>()
                .exchange(|number| *number)
                .inspect(move |number| {
                    sum.fetch_add(*number, Ordering::Relaxed);
                    seen.fetch_add(1, Ordering::Relaxed);
                })
                .probe()
                .0
        });
        // A loss ends the progress of the dataflow, so whoever runs it has to end the dataflow.
        while !probe.done() {
            if lost.load(Ordering::SeqCst) {
                for dataflow in worker.installed_dataflows() {
                    worker.drop_dataflow(dataflow);
                }
                return;
            }
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
    })
    .unwrap();
    (guards, sum, seen)
}

#[test]
fn data_and_control_messages_arrive() {
    let (meshes, lines) = meshes(3, |_, _| {});
    exchange(meshes, &lines);
}

/// A dataflow on a mesh of three, with control messages before, during and after it.
pub fn exchange(meshes: Vec<Mesh>, lines: &[Lines]) {
    const COUNT: u64 = 1_000_000;
    let barrier = Arc::new(Barrier::new(3));
    let threads: Vec<_> = meshes
        .into_iter()
        .map(|mesh| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let others = |mesh: &Mesh| {
                    let me = mesh.process();
                    (0..3).filter(move |to| *to != me)
                };
                for to in others(&mesh) {
                    mesh.send(to, b"before".to_vec()).unwrap();
                }
                let (guards, sum, seen) = start(&mesh, COUNT);
                let long: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 251) as u8).collect();
                for to in others(&mesh) {
                    mesh.send(to, long.clone()).unwrap();
                }
                let got = messages(&mesh);
                for result in guards.join() {
                    result.unwrap();
                }
                for to in others(&mesh) {
                    mesh.send(to, Vec::new()).unwrap();
                    mesh.send(to, b"after".to_vec()).unwrap();
                }
                let count = || got.lock().unwrap().len();
                until("control messages", || count() == 8, || format!("{} came", count()));
                for from in others(&mesh) {
                    let got = got.lock().unwrap();
                    let got = got.iter().filter(|(sender, _)| *sender == from);
                    let got: Vec<_> = got.map(|(_, message)| message.as_slice()).collect();
                    assert_eq!(got.len(), 4);
                    assert!(got[0] == b"before" && got[1] == long && got[2].is_empty());
                    assert_eq!(got[3], b"after");
                }
                barrier.wait();
                for traffic in mesh.traffic() {
                    // A third of what two workers have goes to each process.
                    assert!(traffic.data_sent > 2 * COUNT / 3 * 8, "{traffic:?}");
                    assert!(traffic.data_received > 2 * COUNT / 3 * 8, "{traffic:?}");
                    assert_eq!(traffic.control_sent, 5_000_011);
                    assert_eq!(traffic.control_received, 5_000_011);
                }
                assert_eq!(mesh.lost(), None);
                mesh.close();
                (sum.load(Ordering::Relaxed), seen.load(Ordering::Relaxed))
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let all = 6 * COUNT;
    assert_eq!(results.iter().map(|(_, seen)| seen).sum::<u64>(), all);
    assert_eq!(results.iter().map(|(sum, _)| sum).sum::<u64>(), all * (all - 1) / 2);
    for lines in lines {
        assert!(!lines.has("lost"), "{:?}", lines.all());
    }
}

#[test]
fn a_goodbye_is_no_loss() {
    let (mut all, lines) = meshes(3, |options, _| options.peer_timeout = Duration::from_secs(2));
    // One leaves early; the others go on for longer than the time-out, and then close.
    let early = all.remove(1);
    let early = thread::spawn(move || early.close());
    thread::sleep(Duration::from_millis(3500));
    all[0].send(2, b"still here".to_vec()).unwrap();
    all[0].send(1, b"to nobody".to_vec()).unwrap();
    let got = messages(&all[1]);
    until("message", || got.lock().unwrap().len() == 1, String::new);
    assert!(all.iter().all(|mesh| mesh.lost().is_none()));
    early.join().unwrap();
    close(all);
    assert!(lines.iter().all(|lines| !lines.has("lost")), "{lines:?}", lines = lines[0].all());
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let (all, _) = meshes(2, |_, _| {});
    let error = all[0].send(1, vec![0; MESSAGE_MAX + 1]).unwrap_err().to_string();
    assert!(error.contains("at most"), "{error}");
    assert!(all[0].send(0, Vec::new()).is_err());
    assert!(all[0].send(2, Vec::new()).is_err());
    let got = messages(&all[1]);
    all[0].send(1, vec![7; MESSAGE_MAX]).unwrap();
    until("message", || got.lock().unwrap().len() == 1, String::new);
    assert_eq!(got.lock().unwrap()[0].1.len(), MESSAGE_MAX);
    close(all);
}
