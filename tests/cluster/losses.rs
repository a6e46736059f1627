//! A process that dies, hangs, is cut off or sends nonsense, and what the others say of it.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pingraph::cluster::{Lost, MESSAGE_MAX, Mesh};

use super::dataflow::start;
use super::raw::{
    CONTROL, CONTROL_PART, Claim, DATA, END_OF_DATA, GOODBYE, HEARTBEAT, LEAVING, Raw, message,
};
use super::support::{Hosts, Lines, close, meshes, until};

const TIMEOUT: Duration = Duration::from_secs(2);

/// The losses that a handler is told of.
fn losses(mesh: &Mesh) -> Arc<Mutex<Vec<Lost>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&told);
    mesh.on_lost(Arc::new(move |lost| into.lock().unwrap().push(lost.clone())));
    told
}

fn expect_lost(mesh: &Mesh) -> Lost {
    until("loss", || mesh.lost().is_some(), String::new);
    mesh.lost().unwrap()
}

/// Process 0 of two with a raw peer for process 1.
fn with_raw_peer() -> (Mesh, Raw, Lines) {
    let mut hosts = Hosts::new(2);
    let (mesh, lines) = hosts.start(0, |options, _| options.peer_timeout = TIMEOUT);
    let raw = Raw::joined(1, &hosts.names, TIMEOUT);
    (mesh.mesh(), raw, lines)
}

#[test]
fn a_process_that_dies_is_named_by_all_at_once() {
    let (mut all, lines) = meshes(4, |_, _| {});
    let told: Vec<_> = all.iter().map(losses).collect();
    let host = all[2].host(2).to_owned();
    let started = Instant::now();
    drop(all.remove(2));
    for mesh in &all {
        let lost = expect_lost(mesh);
        assert_eq!((lost.process, lost.host.as_str()), (2, host.as_str()), "{lost}");
    }
    assert!(started.elapsed() < Duration::from_secs(2));
    let line = format!("process 2 (host {host}) was lost: ");
    for process in [0, 1, 3] {
        until("call", || told[process].lock().unwrap().len() == 1, String::new);
        lines[process].expect(&line);
    }
    assert!(told[2].lock().unwrap().is_empty());
    // A handler that comes late hears of it too.
    assert_eq!(*losses(&all[0]).lock().unwrap(), [all[0].lost().unwrap()]);
    // What they do now changes nothing: one loss is told.
    close(all);
    assert!(told.iter().all(|told| told.lock().unwrap().len() <= 1));
}

#[test]
fn a_silent_process_is_lost_within_the_time_out() {
    let (mesh, mut raw, _) = with_raw_peer();
    let told = losses(&mesh);
    // As long as it gives signs of life, nothing happens.
    for _ in 0..15 {
        raw.frame(HEARTBEAT, &[]).unwrap();
        thread::sleep(TIMEOUT / 10);
    }
    assert_eq!(mesh.lost(), None);
    let started = Instant::now();
    let lost = expect_lost(&mesh);
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    assert!(lost.reason.starts_with("silent for 1."), "{lost}");
    until("call", || told.lock().unwrap().len() == 1, String::new);
    // Half a frame is no sign of life for ever either.
    let (mesh, mut raw, _) = with_raw_peer();
    std::io::Write::write_all(&mut raw.tcp, &[DATA, 0, 0]).unwrap();
    assert!(expect_lost(&mesh).reason.starts_with("silent"));
}

#[test]
fn who_was_really_lost_is_named() {
    let (mesh, mut raw, _) = {
        let mut hosts = Hosts::new(3);
        let (mesh, lines) = hosts.start(0, |options, _| options.peer_timeout = TIMEOUT);
        let other = Raw::joined(2, &hosts.names, TIMEOUT);
        let raw = Raw::joined(1, &hosts.names, TIMEOUT);
        std::mem::forget(other);
        (mesh.mesh(), raw, lines)
    };
    raw.frame(LEAVING, &[&2_u32.to_be_bytes()[..], b"silent for 8.0 s"].concat()).unwrap();
    drop(raw);
    let lost = expect_lost(&mesh);
    assert_eq!(lost.process, 2);
    assert!(lost.reason.starts_with("silent for 8.0 s (told by process 1 ("), "{lost}");
    assert_eq!(lost.host, mesh.host(2));
    // Of itself: then it is the sender that it loses.
    for (blamed, words) in [(0_u32, "it gave up on this process: x"), (1, "it gave up: x")] {
        let (mesh, mut raw, _) = with_raw_peer();
        raw.frame(LEAVING, &[&blamed.to_be_bytes()[..], b"x"].concat()).unwrap();
        let lost = expect_lost(&mesh);
        assert_eq!((lost.process, lost.reason.as_str()), (1, words));
    }
}

#[test]
fn the_others_are_told_because_of_whom() {
    let mut hosts = Hosts::new(3);
    let (mesh, _) = hosts.start(0, |options, _| options.peer_timeout = TIMEOUT);
    let mut witness = Raw::joined(1, &hosts.names, TIMEOUT);
    let stopped = Raw::joined(2, &hosts.names, TIMEOUT);
    let mesh = mesh.mesh();
    drop(stopped);
    let (kind, payload) = witness.next().unwrap();
    assert_eq!((kind, &payload[..4]), (LEAVING, &2_u32.to_be_bytes()[..]));
    assert_eq!(&payload[4..], expect_lost(&mesh).reason.as_bytes());
    // Its own reason, and then the end of the connection.
    let (mesh, mut raw, _) = with_raw_peer();
    mesh.leave("the disk is full");
    mesh.abandon();
    let (kind, payload) = raw.next().unwrap();
    assert_eq!((kind, &payload[4..]), (LEAVING, b"the disk is full".as_slice()));
    assert!(raw.tcp.read(&mut [0]).is_ok_and(|count| count == 0));
}

#[test]
fn what_is_malformed_is_a_loss() {
    let long = (MESSAGE_MAX + 1) as u64;
    // Workers 0 and 1 are here, 2 and 3 are the peer's.
    let cases: Vec<(u8, Vec<u8>, &str)> = vec![
        (0, vec![], "malformed frame (kind 0)"),
        (99, vec![], "malformed frame (kind 99)"),
        (DATA, vec![0; (1 << 20) + 1], "malformed frame (Data of 1048577 bytes)"),
        (HEARTBEAT, vec![1], "malformed frame (Heartbeat"),
        (LEAVING, vec![0; 3], "malformed frame (Leaving"),
        (LEAVING, vec![9; 8], "malformed frame (Leaving"),
        (DATA, message(2, 0, 1, long, &[]), "malformed message (67108865 bytes"),
        (DATA, message(2, 0, 1, u64::MAX, &[]), "malformed message (1844"),
        (DATA, message(0, 0, 1, 8, &[0; 8]), "malformed message (from worker 0)"),
        (DATA, message(4, 0, 1, 8, &[0; 8]), "malformed message (from worker 4)"),
        (DATA, message(2, 0, 3, 8, &[0; 8]), "malformed message (to workers 0..3)"),
        (DATA, message(2, 2, 3, 8, &[0; 8]), "malformed message (to workers 2..3)"),
        (DATA, message(2, 1, 1, 8, &[0; 8]), "malformed message (to workers 1..1)"),
        (DATA, message(2, 0, u64::MAX, 8, &[0; 8]), "malformed message (to workers"),
        (DATA, message(0, 0, 0, 0, &[1]), "data after their end"),
        (END_OF_DATA, vec![], "ended its data in the middle"),
    ];
    for (kind, payload, words) in cases {
        let (mesh, mut raw, lines) = with_raw_peer();
        // The other side may close in the middle of it.
        let _ = raw.frame(kind, &payload);
        let lost = expect_lost(&mesh);
        assert!(lost.reason.contains(words), "{words}: {lost}");
        lines.expect(words);
    }
    let (mesh, mut raw, _) = with_raw_peer();
    for _ in 0..=64 {
        let _ = raw.frame(CONTROL_PART, &[0; 1 << 20]);
    }
    assert!(expect_lost(&mesh).reason.contains("control message of more than"));
    let (mesh, mut raw, _) = with_raw_peer();
    for _ in 0..=128 {
        let _ = raw.frame(CONTROL, &[0; 1 << 20]);
    }
    assert!(expect_lost(&mesh).reason.contains("more control messages than are kept"));
}

#[test]
fn messages_arrive_whole_however_they_are_cut() {
    let mut random: u64 = 5;
    let mut below = move |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % most
    };
    let (mesh, mut raw, _) = with_raw_peer();
    let mut all = Vec::new();
    for _ in 0..500 {
        let body: Vec<u8> = (0..1 + below(3000)).map(|i| i as u8).collect();
        all.extend(message(2 + below(2) as u64, 0, 2, body.len() as u64, &body));
    }
    let sent = [all, message(0, 0, 0, 0, &[])].concat();
    let mut rest = sent.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(below(5000)));
        raw.frame(DATA, piece).unwrap();
        rest = after;
    }
    raw.frame(END_OF_DATA, &[]).unwrap();
    raw.frame(GOODBYE, &[]).unwrap();
    let mut stream = mesh.streams()[1].take().unwrap();
    let mut got = Vec::new();
    loop {
        let mut buffer = vec![0; 1 + below(4000)];
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..count]);
    }
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    assert_eq!(mesh.lost(), None);
}

#[test]
fn a_goodbye_in_the_middle_of_the_data_is_a_loss() {
    let (mesh, mut raw, _) = with_raw_peer();
    raw.frame(DATA, &message(2, 0, 2, 8, &[0; 8])).unwrap();
    raw.frame(GOODBYE, &[]).unwrap();
    assert!(expect_lost(&mesh).reason.contains("before the data was over"));
}

#[test]
fn timely_ends_without_a_panic_when_a_peer_is_lost() {
    // The peer dies in the middle of a message.
    let (mesh, mut raw, _) = with_raw_peer();
    let mut streams = mesh.streams();
    let mut stream = streams[1].take().unwrap();
    let whole = message(2, 0, 2, 100, &[7; 100]);
    raw.frame(DATA, &whole[..60]).unwrap();
    raw.frame(DATA, &whole[60..]).unwrap();
    let mut got = vec![0; 20];
    stream.read_exact(&mut got).unwrap();
    raw.frame(DATA, &whole[..60]).unwrap();
    drop(raw);
    expect_lost(&mesh);
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, [whole, vec![0; 48]].concat());
    assert_eq!(std::io::Write::write(&mut stream, &[0; 1000]).unwrap(), 1000);

    // And so do workers and threads, in the middle of a dataflow of which a third is missing.
    let mut hosts = Hosts::new(3);
    let started: Vec<_> = (0..2).map(|process| hosts.start(process, |_, _| {}).0).collect();
    let options = hosts.options(2).0;
    let raw = [0, 1].map(|to| {
        let claim = Claim { to, ..Claim::right(2, &hosts.names, options.peer_timeout) };
        Raw::joined_as(&claim)
    });
    let running: Vec<_> = started
        .into_iter()
        .map(|mesh| {
            let mesh = mesh.mesh();
            let (guards, _, seen) = start(&mesh, 2_000_000);
            (mesh, guards, seen)
        })
        .collect();
    for (_, _, seen) in &running {
        until("data", || seen.load(Ordering::Relaxed) > 10_000, String::new);
    }
    drop(raw);
    for (mesh, guards, _) in running {
        assert!(guards.join().into_iter().all(|result| result.is_ok()), "a worker panicked");
        assert_eq!(expect_lost(&mesh).process, 2);
        mesh.abandon();
    }
}

#[test]
fn a_writer_that_is_blocked_comes_free() {
    let (mesh, mut raw, _) = with_raw_peer();
    let mut stream = mesh.streams()[1].take().unwrap();
    let writer = thread::spawn(move || {
        for _ in 0..100 {
            std::io::Write::write_all(&mut stream, &[0; 1 << 20]).unwrap();
        }
    });
    // It reads nothing, and then it falls silent.
    for _ in 0..5 {
        raw.frame(HEARTBEAT, &[]).unwrap();
        thread::sleep(TIMEOUT / 10);
    }
    assert!(!writer.is_finished());
    let started = Instant::now();
    mesh.send(1, vec![0; 1 << 20]).unwrap();
    assert!(expect_lost(&mesh).reason.contains("silent"));
    writer.join().unwrap();
    assert!(started.elapsed() < TIMEOUT + TIMEOUT / 4, "{:?}", started.elapsed());
}

#[test]
fn one_that_reads_nothing_silences_us_to_nobody() {
    let mut hosts = Hosts::new(3);
    let (mesh, _) = hosts.start(0, |options, _| options.peer_timeout = TIMEOUT);
    let mut deaf = Raw::joined(1, &hosts.names, TIMEOUT);
    let mut hears = Raw::joined(2, &hosts.names, TIMEOUT);
    let mesh = mesh.mesh();
    // Control messages and data that the first one does not take, though it is alive.
    for _ in 0..20 {
        mesh.send(1, vec![0; 1 << 20]).unwrap();
    }
    let mut stream = mesh.streams()[1].take().unwrap();
    let writer = thread::spawn(move || {
        std::io::Write::write_all(&mut stream, &vec![0; 32 << 20]).unwrap();
    });
    let started = Instant::now();
    let mut beats = 0;
    while started.elapsed() < 2 * TIMEOUT {
        deaf.frame(HEARTBEAT, &[]).unwrap();
        hears.frame(HEARTBEAT, &[]).unwrap();
        let mut header = [0; 5];
        hears.tcp.read_exact(&mut header).unwrap();
        assert_eq!(header, [HEARTBEAT, 0, 0, 0, 0]);
        beats += 1;
    }
    assert!((15..=25).contains(&beats), "{beats} in {:?}", started.elapsed());
    assert!(!writer.is_finished());
    assert_eq!(mesh.lost(), None);
    mesh.abandon();
    writer.join().unwrap();
}

#[test]
fn a_full_inbox_does_not_hide_a_loss() {
    // Nobody reads the data, as before the dataflow starts.
    let (mesh, mut raw, _) = with_raw_peer();
    raw.tcp.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let body = vec![1; (1 << 20) - 48];
    let whole = message(2, 0, 1, body.len() as u64, &body);
    let mut sent = 0;
    while sent < 32 && raw.frame(DATA, &whole).is_ok() {
        sent += 1;
    }
    let started = Instant::now();
    assert!(expect_lost(&mesh).reason.contains("silent"), "after {sent}");
    assert!(started.elapsed() < TIMEOUT + TIMEOUT / 2, "{:?}", started.elapsed());
}
