//! Real processes that are stopped and killed, and a network between them that is cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pingraph::cluster::{Mesh, connect};

use super::support::{Hosts, agreement, close, until};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Tells the test below that it is the child, and of which hosts.
const CHILD: &str = "PINGRAPH_TEST_MESH";

/// Not a test of its own: process 2 of the tests below, in a process of its own.
#[test]
fn child() {
    let Ok(hosts) = std::env::var(CHILD) else {
        return;
    };
    let mut own = Hosts::new(3);
    own.names = hosts.split(',').map(str::to_owned).collect();
    let (mut options, _) = own.options(2);
    options.peer_timeout = TIMEOUT;
    let mesh = connect(options, &agreement(), own.listener(2)).unwrap();
    mesh.send(0, b"joined".to_vec()).unwrap();
    until("loss", || mesh.lost().is_some(), String::new);
    // What it says of the others when it wakes up.
    println!("child: {}", mesh.lost().unwrap());
}

/// Processes 0 and 1 here, and 2 in a child.
fn with_child() -> (Vec<Mesh>, Guarded) {
    let mut hosts = Hosts::new(3);
    let here: Vec<_> =
        (0..2).map(|index| hosts.start(index, |o, _| o.peer_timeout = TIMEOUT).0).collect();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(CHILD, hosts.names.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let child = Guarded(child);
    (here.into_iter().map(|mesh| mesh.mesh()).collect(), child)
}

struct Guarded(Child);

impl Guarded {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All of them name process 2 within `most`.
fn expect_two_lost(meshes: &[Mesh], most: Duration, words: &str) {
    let started = Instant::now();
    for mesh in meshes {
        until("loss", || mesh.lost().is_some(), String::new);
        let lost = mesh.lost().unwrap();
        assert_eq!((lost.process, lost.host.as_str()), (2, mesh.host(2)), "{lost}");
        assert!(lost.reason.contains(words), "{lost}");
    }
    assert!(started.elapsed() < most, "{:?}", started.elapsed());
}

#[test]
fn a_killed_process() {
    let (meshes, child) = with_child();
    child.signal("-KILL");
    expect_two_lost(&meshes, Duration::from_secs(1), "it closed the connection");
    close(meshes);
}

#[test]
fn a_stopped_process() {
    let (meshes, mut child) = with_child();
    child.signal("-STOP");
    // Its kernel goes on to take what is sent, until it is full: nothing here may block for good.
    let mut stream = meshes[0].streams()[2].take().unwrap();
    let writer = thread::spawn(move || stream.write_all(&vec![0; 64 << 20]).unwrap());
    expect_two_lost(&meshes, TIMEOUT, "silent for 1.");
    writer.join().unwrap();
    // When it goes on, it hears that the others gave it up.
    child.signal("-CONT");
    let mut text = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("child: process "), "{text}");
    close(meshes);
}

#[test]
fn a_process_that_is_stopped_for_a_moment_is_not_lost() {
    let (meshes, child) = with_child();
    for _ in 0..3 {
        child.signal("-STOP");
        thread::sleep(TIMEOUT / 3);
        child.signal("-CONT");
        thread::sleep(TIMEOUT / 8);
    }
    assert!(meshes.iter().all(|mesh| mesh.lost().is_none()));
    drop(child);
    close(meshes);
}

/// What the network does with what comes.
const PASS: u8 = 0;
pub const CUT: u8 = 1;
const CHANGE: u8 = 2;

/// A network between an address of its own and `target`; it changes one byte in `CHANGE` of every
/// piece that is longer than a banner.
pub fn network(target: String) -> (String, Arc<AtomicU8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mode = Arc::new(AtomicU8::new(PASS));
    let shared = Arc::clone(&mode);
    thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(&target)) else {
                return;
            };
            for (from, to) in [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far.try_clone().unwrap(), near.try_clone().unwrap()),
            ] {
                let mode = Arc::clone(&shared);
                thread::spawn(move || pump(from, to, &mode));
            }
        }
    });
    (address, mode)
}

fn pump(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        match mode.load(Ordering::SeqCst) {
            CUT => continue,
            CHANGE if count > 42 => buffer[count / 2] ^= 1,
            _ => {}
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if mode.load(Ordering::SeqCst) != CUT {
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

#[test]
fn a_network_that_is_cut_is_seen_on_both_sides() {
    let mut hosts = Hosts::new(2);
    let (address, mode) = network(hosts.names[0].clone());
    hosts.names[0] = address;
    let started: Vec<_> =
        (0..2).map(|index| hosts.start(index, |o, _| o.peer_timeout = TIMEOUT).0).collect();
    let both: Vec<_> = started.into_iter().map(|mesh| mesh.mesh()).collect();
    thread::sleep(TIMEOUT);
    assert!(both.iter().all(|mesh| mesh.lost().is_none()));
    mode.store(CUT, Ordering::SeqCst);
    let started = Instant::now();
    for (mesh, other) in both.iter().zip([1, 0]) {
        until("loss", || mesh.lost().is_some(), String::new);
        let lost = mesh.lost().unwrap();
        assert_eq!(lost.process, other);
        assert!(lost.reason.starts_with("silent"), "{lost}");
    }
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    close(both);
}

#[test]
fn a_network_that_changes_a_handshake_keeps_the_two_apart() {
    let mut hosts = Hosts::new(2);
    let (address, mode) = network(hosts.names[0].clone());
    hosts.names[0] = address;
    mode.store(CHANGE, Ordering::SeqCst);
    let (zero, lines) = hosts.start(0, |_, _| {});
    let (one, _) = hosts.start(1, |_, _| {});
    lines.expect("its handshake was changed on the way");
    assert!(zero.is_waiting() && one.is_waiting());
    mode.store(PASS, Ordering::SeqCst);
    close(vec![zero.mesh(), one.mesh()]);
}
