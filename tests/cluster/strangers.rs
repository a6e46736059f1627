//! Strangers on both ends: none of them keeps the right process out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Hosts, close};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

#[test]
fn slow_and_half_open_connections_block_nobody() {
    let mut hosts = Hosts::new(3);
    let (zero, lines) = hosts.start(0, |_, _| {});
    let host = hosts.names[0].clone();
    // One sends a byte now and then, one says nothing.
    let mut slow = TcpStream::connect(&host).unwrap();
    let silent = TcpStream::connect(&host).unwrap();
    let started = Instant::now();
    let dripping = thread::spawn(move || {
        let bytes = [b"PINGRAPH\0\x01".as_slice(), &[0; 400]].concat();
        for byte in bytes {
            if slow.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        started.elapsed()
    });
    let (one, _) = hosts.start(1, |_, _| {});
    lines.expect("did not finish its handshake within 5 s");
    assert!(started.elapsed() >= HANDSHAKE);
    let dripped = dripping.join().unwrap();
    assert!(dripped < HANDSHAKE + Duration::from_secs(3), "{dripped:?}");
    drop(silent);
    let (two, _) = hosts.start(2, |_, _| {});
    close(vec![zero.mesh(), one.mesh(), two.mesh()]);
}

#[test]
fn many_half_open_connections() {
    let mut hosts = Hosts::new(2);
    let (zero, lines) = hosts.start(0, |_, _| {});
    let started = Instant::now();
    let open: Vec<_> = (0..100).map(|_| TcpStream::connect(&hosts.names[0]).unwrap()).collect();
    lines.expect("too many handshakes at once; the oldest is dropped");
    let (one, _) = hosts.start(1, |_, _| {});
    let both = vec![zero.mesh(), one.mesh()];
    assert!(started.elapsed() < HANDSHAKE, "it waited for the strangers");
    close(both);
    drop(open);
}

#[test]
fn a_hundred_garbage_connections() {
    let mut hosts = Hosts::new(2);
    let (zero, lines) = hosts.start(0, |_, _| {});
    let host = hosts.names[0].clone();
    let garbage = thread::spawn(move || {
        for index in 0..100_u32 {
            let mut tcp = TcpStream::connect(&host).unwrap();
            let bytes: Vec<u8> = (0..2000_u32).map(|i| (i * 7919 + index * 31) as u8).collect();
            // It is refused at the first bytes.
            let _ = tcp.write_all(&bytes);
        }
    });
    garbage.join().unwrap();
    lines.expect("it is no pingraph process");
    let (one, _) = hosts.start(1, |_, _| {});
    close(vec![zero.mesh(), one.mesh()]);
}

#[test]
fn a_log_does_not_grow_without_bound() {
    let mut hosts = Hosts::new(2);
    let (zero, lines) = hosts.start(0, |_, _| {});
    for _ in 0..700 {
        let tcp = TcpStream::connect(&hosts.names[0]).unwrap();
        tcp.shutdown(Shutdown::Both).unwrap();
    }
    lines.expect("more connections are refused, without a line for each");
    let (one, _) = hosts.start(1, |_, _| {});
    close(vec![zero.mesh(), one.mesh()]);
    assert!(lines.all().len() <= 502);
}

#[test]
fn something_else_on_the_port_of_a_peer() {
    let mut hosts = Hosts::new(2);
    let listener: TcpListener = hosts.listener(0).unwrap();
    let (one, lines) = hosts.start(1, |_, _| {});
    // Another service, an echo, one that closes at once.
    let (mut tcp, _) = listener.accept().unwrap();
    tcp.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").unwrap();
    lines.expect("it is no pingraph process");
    let (mut tcp, _) = listener.accept().unwrap();
    let mut banner = [0; 42];
    tcp.read_exact(&mut banner).unwrap();
    tcp.write_all(&banner).unwrap();
    lines.expect("it sends back what it gets");
    drop(listener.accept().unwrap());
    lines.expect("it closed the connection during the handshake");
    // One that knows no secret learns a code, and nothing more.
    let (mut tcp, _) = listener.accept().unwrap();
    tcp.read_exact(&mut banner).unwrap();
    banner[10] ^= 1;
    tcp.write_all(&banner).unwrap();
    tcp.write_all(&[7; 32]).unwrap();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
    assert_eq!(rest.len(), 32);
    lines.expect("wrong secret");
    // And one that takes the connection and says nothing, while the right one comes.
    let silent = listener.accept().unwrap();
    let (mut options, _) = hosts.options(0);
    options.connect_timeout = Duration::from_secs(20);
    let zero = thread::spawn(move || {
        pingraph::cluster::connect(options, &super::support::agreement(), Some(listener))
    });
    let both = vec![one.mesh(), zero.join().unwrap().unwrap()];
    lines.expect("did not finish its handshake within 5 s");
    close(both);
    drop(silent);
}
