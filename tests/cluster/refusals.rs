//! Processes that do not belong to the run: each is refused with a line of the log, and the run goes
//! on waiting and completes when the right one comes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use pingraph::cluster::{Agreement, MeshOptions, Secret, connect};

use super::raw::{Claim, Raw, banner};
use super::support::{Connecting, Hosts, Lines, MARKER, agreement, close};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Process 0 of two, waiting.
fn waiting() -> (Hosts, Connecting, Lines) {
    let mut hosts = Hosts::new(2);
    let (waiting, lines) = hosts.start(0, |_, _| {});
    (hosts, waiting, lines)
}

/// The right process 1 comes, and the run starts.
fn completes(mut hosts: Hosts, waiting: Connecting) {
    assert!(waiting.is_waiting());
    let (right, _) = hosts.start(1, |_, _| {});
    close(vec![waiting.mesh(), right.mesh()]);
}

#[test]
fn a_process_of_another_run_is_told_why_and_leaves() {
    type Change = fn(&mut MeshOptions, &mut Agreement);
    let cases: [(Change, &str); 6] = [
        (
            |options, _| options.epoch = 6,
            "an old epoch: process 1 is of epoch 6, and the run at epoch 7",
        ),
        (
            |_, agreement| agreement.engine = "0.2.0".to_owned(),
            "engine versions differ: process 1 has 0.2.0, process 0 has 0.1.0",
        ),
        (
            |_, agreement| agreement.job = "0123456789abcdef0123".to_owned(),
            "job files differ: process 1 has job hash 0123456789abcdef, process 0 has job hash abcd1234",
        ),
        (
            |_, agreement| agreement.workers = 3,
            "workers differ: process 1 has 3 workers, process 0 has 2 workers",
        ),
        (
            |options, _| options.peer_timeout = Duration::from_secs(9),
            "peer time-outs differ: process 1 has 9000 ms, process 0 has 10000 ms",
        ),
        (
            |options, _| options.membership.hosts.push("d:7411".to_owned()),
            "host lists differ: process 1 has 3 hosts, process 0 has 2 hosts",
        ),
    ];
    for (change, words) in cases {
        let (hosts, waiting, lines) = waiting();
        let (mut options, _) = hosts.options(1);
        let mut other = agreement();
        change(&mut options, &mut other);
        // It is no part of the list, so it listens elsewhere.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = connect(options, &other, Some(listener)).err().expect(words);
        let name = &hosts.names[0];
        assert_eq!(error.to_string(), format!("process 0 ({name}) refused process 1: {words}"));
        assert_eq!(error.kind.exit_code(), 4);
        lines.expect(&format!(": {words}"));
        assert!(lines.has("refused 127.0.0.1:"));
        completes(hosts, waiting);
    }
}

#[test]
fn other_hosts_are_named() {
    let (hosts, waiting, lines) = waiting();
    let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
    raw.prove().unwrap();
    let mut claim = Claim::right(1, &hosts.names, TIMEOUT);
    claim.hosts[1] = "elsewhere:7411".to_owned();
    let (verdict, text) = raw.claim(&claim).unwrap();
    let words = "host lists differ at host 1: process 1 has elsewhere:7411, process 0 has ";
    assert!(verdict == 2 && text.starts_with(words), "{text}");
    lines.expect(words);
    completes(hosts, waiting);
}

#[test]
fn a_claim_of_the_wrong_index_is_refused() {
    type Change = fn(&mut Claim);
    let cases: [(Change, u8, &str); 4] = [
        (|claim| claim.to = 1, 1, "process 1 looked for process 1, and reached process 0"),
        (|claim| claim.from = 0, 2, "process 0 has no business to connect to process 0"),
        (|claim| claim.from = 2, 2, "process 2 has no business to connect to process 0"),
        (|claim| claim.from = u32::MAX, 2, "has no business to connect to process 0"),
    ];
    for (change, number, words) in cases {
        let (hosts, waiting, lines) = waiting();
        let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
        raw.prove().unwrap();
        let mut claim = Claim::right(1, &hosts.names, TIMEOUT);
        change(&mut claim);
        let (verdict, text) = raw.claim(&claim).unwrap();
        assert_eq!(verdict, number);
        assert!(text.contains(words), "{text}");
        lines.expect(words);
        completes(hosts, waiting);
    }
}

#[test]
fn two_processes_of_one_index() {
    let mut hosts = Hosts::new(3);
    let (zero, lines) = hosts.start(0, |_, _| {});
    let (one, _) = hosts.start(1, |_, _| {});
    // The first is in once a second one is refused.
    let mut words = String::new();
    for _ in 0..1000 {
        let (options, _) = hosts.options(1);
        let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
        raw.prove().unwrap();
        let claim = Claim::right(1, &hosts.names, options.peer_timeout);
        // Not accepting what it gets, it leaves the index free if it was the first.
        words = raw.claim(&claim).unwrap().1;
        if words.contains("already") {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let wanted = "there is a process 1 already; two were started with one index";
    assert_eq!(words, wanted);
    let (options, _) = hosts.options(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = connect(options, &agreement(), Some(listener)).err().unwrap();
    assert!(error.to_string().ends_with(wanted), "{error}");
    lines.expect(wanted);
    let (two, _) = hosts.start(2, |_, _| {});
    close(vec![zero.mesh(), one.mesh(), two.mesh()]);
}

#[test]
fn a_process_of_an_earlier_attempt_leaves_when_it_meets_a_later_one() {
    let (mut hosts, old, _) = waiting();
    let (new, lines) = hosts.start(1, |options, _| options.epoch = 8);
    let error = old.error();
    let name = &hosts.names[1];
    let wanted =
        format!("process 0 is of epoch 7, an earlier attempt: process 1 ({name}) is of epoch 8");
    assert_eq!(error, wanted);
    lines.expect("it is still of epoch 7, an earlier attempt");
    // The later one waits on, and process 0 of its own attempt finds the port free.
    let (zero, _) = hosts.start(0, |options, _| options.epoch = 8);
    close(vec![zero.mesh(), new.mesh()]);
}

#[test]
fn a_wrong_secret() {
    for secret in [Some("another secret, as long"), None] {
        let (mut hosts, waiting, lines) = waiting();
        let listener = hosts.listener(1);
        let (mut options, own) = hosts.options(1);
        options.secret = secret.map(|text| Secret::from_text(text).unwrap());
        options.connect_timeout = Duration::from_millis(700);
        let error = connect(options, &agreement(), listener).err().unwrap().to_string();
        assert!(error.starts_with("1 of 2 processes came within 0.7 s; missing: process 0 ("));
        assert!(error.contains("it refused the proof; is the secret the same on both?"), "{error}");
        own.expect("is the secret the same on both?");
        lines.expect(": wrong secret");
        completes(hosts, waiting);
    }
}

#[test]
fn a_code_of_another_handshake_or_role_proves_nothing() {
    let (hosts, waiting, lines) = waiting();
    let refused = |raw: &mut Raw, code: &[u8]| {
        raw.tcp.write_all(code).unwrap();
        assert!(!raw.tcp.read(&mut [0; 1]).is_ok_and(|count| count > 0), "it answered");
    };
    let first = Raw::open(&hosts.names[0], MARKER).unwrap();
    let code = first.code(1, 0, &[]);
    let mut second = Raw::open(&hosts.names[0], MARKER).unwrap();
    refused(&mut second, &code);
    for (role, number) in [(2, 0), (1, 1), (3, 0)] {
        let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
        let code = raw.code(role, number, &[]);
        refused(&mut raw, &code);
    }
    lines.expect("wrong secret");
    completes(hosts, waiting);
}

#[test]
fn what_is_no_peer_is_refused() {
    let other = banner(2, [1; 32]);
    let long = [banner(1, [1; 32]), vec![0; 32]].concat();
    let cases: [(&[u8], &str); 6] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "it is no pingraph process"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "it is no pingraph process"),
        (b"", "it closed the connection during the handshake"),
        (b"PINGRAPH\0\x01", "it closed the connection during the handshake"),
        (&other, "it speaks protocol 2, and this process 1"),
        (&long, "wrong secret"),
    ];
    let (hosts, waiting, lines) = waiting();
    for (bytes, words) in cases {
        let mut tcp = TcpStream::connect(&hosts.names[0]).unwrap();
        tcp.write_all(bytes).unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        // A stranger learns no more than magic, version and a nonce.
        let mut got = Vec::new();
        let _ = tcp.read_to_end(&mut got);
        assert!(got.len() <= 42, "{got:?}");
        lines.expect(words);
    }
    // Its own banner back.
    let mut tcp = TcpStream::connect(&hosts.names[0]).unwrap();
    let mut own = [0; 42];
    tcp.read_exact(&mut own).unwrap();
    tcp.write_all(&own).unwrap();
    lines.expect("it sends back what it gets");
    completes(hosts, waiting);
}

#[test]
fn a_handshake_without_bounds_is_refused() {
    let (hosts, waiting, lines) = waiting();
    let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
    raw.prove().unwrap();
    raw.tcp.write_all(&(1_u32 << 30).to_be_bytes()).unwrap();
    lines.expect("its handshake is malformed");
    let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
    raw.prove().unwrap();
    let mut claim = Claim::right(1, &hosts.names, TIMEOUT);
    claim.hosts = vec![String::new(); 10_000];
    assert!(raw.claim(&claim).unwrap().1.contains("host lists differ"));
    completes(hosts, waiting);
}

#[test]
fn who_does_not_come_is_named() {
    let mut hosts = Hosts::new(4);
    let short = |options: &mut MeshOptions, _: &mut Agreement| {
        options.connect_timeout = Duration::from_millis(1500);
    };
    let (zero, _) = hosts.start(0, short);
    let (one, _) = hosts.start(1, |options, _| options.connect_timeout = Duration::from_secs(20));
    let mut raw = Raw::open(&hosts.names[0], MARKER).unwrap();
    raw.prove().unwrap();
    let old = Claim { epoch: 3, ..Claim::right(3, &hosts.names, TIMEOUT) };
    raw.claim(&old).unwrap();
    let (two, three) = (&hosts.names[2], &hosts.names[3]);
    let wanted = format!(
        "2 of 4 processes came within 1.5 s; missing: process 2 ({two}), process 3 ({three}) \
         (process 3 ({three}) was refused: an old epoch: process 3 is of epoch 3, and the run at \
         epoch 7); start all processes with the same hosts, or raise --connect-timeout"
    );
    assert_eq!(zero.error(), wanted);
    // The other does not wait for the rest of its time, nor blame process 0.
    let name = &hosts.names[0];
    let wanted = format!(
        "process 2 (host {two}) was lost: it did not come within 1.5 s (told by process 0 ({name}))"
    );
    assert_eq!(one.error(), wanted);
}

#[test]
fn without_a_secret_only_loopback() {
    let mut hosts = Hosts::new(2);
    let public = |options: &mut MeshOptions, _: &mut Agreement| options.secret = None;
    let (zero, _) = hosts.start(0, public);
    let (one, _) = hosts.start(1, public);
    close(vec![zero.mesh(), one.mesh()]);

    let hosts = Hosts::new(2);
    let (mut options, _) = hosts.options(1);
    options.secret = None;
    options.membership.hosts[0] = "192.0.2.1:7411".to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = connect(options.clone(), &agreement(), Some(listener)).err().unwrap().to_string();
    assert!(error.contains("192.0.2.1:7411, which is not loopback; give all"), "{error}");
    options.membership.hosts[1] = "192.0.2.1:7412".to_owned();
    let error = connect(options.clone(), &agreement(), None).err().unwrap().to_string();
    assert!(error.contains("192.0.2.1:7412), which is not loopback"), "{error}");
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let error = connect(options, &agreement(), Some(everywhere)).err().unwrap().to_string();
    assert!(error.contains("listens on 0.0.0.0:"), "{error}");
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    let hosts = Hosts::new(2);
    let (mut options, _) = hosts.options(0);
    options.membership.hosts[0] = "192.0.2.1:7411".to_owned();
    let error = connect(options, &agreement(), None).err().unwrap().to_string();
    assert!(error.starts_with("process 0 cannot listen on 192.0.2.1:7411: "), "{error}");
    assert!(error.contains("; its entry in the list of hosts must be"), "{error}");
}
