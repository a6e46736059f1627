//! The same connections over TLS. The certificates are made by openssl; without it, these tests say
//! so and do nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pingraph::cluster::{Agreement, MeshOptions, TlsFiles, connect};
use tempfile::TempDir;

use super::dataflow::exchange;
use super::processes::{CUT, network};
use super::raw::Raw;
use super::support::{Hosts, MARKER, agreement, close, meshes, messages, until};

fn openssl(folder: &Path, arguments: &str) -> Option<()> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder).stderr(Stdio::null());
    command.stdout(Stdio::null()).status().ok().filter(|status| status.success()).map(|_| ())
}

/// An authority `ca.pem` and a certificate `NAME.pem` for `san`.
fn authority(name: &str, san: &str) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let extensions = format!("subjectAltName={san}\nbasicConstraints=critical,CA:FALSE\n");
    fs::write(folder.path().join("extensions"), extensions).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for arguments in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=pingraph-test"),
        format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
        format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile extensions -out {name}.pem"
        ),
    ] {
        let done = openssl(folder.path(), &arguments);
        if done.is_none() {
            println!("skipped: no openssl that makes certificates");
            return None;
        }
    }
    Some(folder)
}

fn files(folder: &TempDir) -> TlsFiles {
    let file = |name: &str| folder.path().join(name);
    TlsFiles { cert: file("peer.pem"), key: file("peer.key"), ca: file("ca.pem") }
}

const LOOPBACK: &str = "IP:127.0.0.1,DNS:localhost";

#[test]
fn data_and_control_messages_arrive_encrypted() {
    let Some(folder) = authority("peer", LOOPBACK) else { return };
    let (meshes, lines) = meshes(3, |options, _| options.tls = Some(files(&folder)));
    exchange(meshes, &lines);
}

/// A network that keeps what it carries.
fn recorder(target: String) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let record = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&record);
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(&target).unwrap();
        for (mut from, mut to) in [
            (near.try_clone().unwrap(), far.try_clone().unwrap()),
            (far.try_clone().unwrap(), near.try_clone().unwrap()),
        ] {
            let record = Arc::clone(&shared);
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    record.lock().unwrap().extend_from_slice(&buffer[..count]);
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, record)
}

#[test]
fn the_network_sees_nothing() {
    let Some(folder) = authority("peer", LOOPBACK) else { return };
    for encrypted in [false, true] {
        let mut hosts = Hosts::new(2);
        let (address, record) = recorder(hosts.names[0].clone());
        hosts.names[0] = address;
        let tls = |options: &mut MeshOptions, _: &mut Agreement| {
            options.tls = encrypted.then(|| files(&folder));
        };
        let (zero, one) = (hosts.start(0, tls).0, hosts.start(1, tls).0);
        let both = [zero.mesh(), one.mesh()];
        let got = messages(&both[0]);
        both[1].send(0, b"a message that anybody may know".to_vec()).unwrap();
        until("message", || got.lock().unwrap().len() == 1, String::new);
        close(both.into());
        let has = |text: &[u8]| record.lock().unwrap().windows(text.len()).any(|w| w == text);
        assert_eq!(has(b"a message that anybody may know"), !encrypted);
        assert_eq!(has(b"PINGRAPH"), !encrypted);
        assert!(!has(MARKER.as_bytes()), "the secret itself is never sent");
    }
}

#[test]
fn a_wrong_certificate_keeps_a_process_out() {
    let Some(folder) = authority("peer", LOOPBACK) else { return };
    let (Some(foreign), Some(misnamed)) =
        (authority("peer", LOOPBACK), authority("peer", "DNS:elsewhere"))
    else {
        return;
    };
    let short = Duration::from_millis(700);
    for files_of_one in [Some(files(&foreign)), None] {
        let mut hosts = Hosts::new(2);
        let (zero, lines) = hosts.start(0, |options, _| options.tls = Some(files(&folder)));
        let (mut options, _) = hosts.options(1);
        (options.tls, options.connect_timeout) = (files_of_one, short);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = connect(options, &agreement(), Some(listener)).err().unwrap().to_string();
        assert!(error.starts_with("1 of 2 processes came within 0.7 s"), "{error}");
        lines.expect("refused 127.0.0.1:");
        // Who knows the secret, but has no certificate, does not come as far as proving it.
        let stranger = Raw::open(&hosts.names[0], MARKER);
        assert!(stranger.is_err());
        let (one, _) = hosts.start(1, |options, _| options.tls = Some(files(&folder)));
        close(vec![zero.mesh(), one.mesh()]);
    }
    // The certificate is of the right authority, but for another host.
    let mut hosts = Hosts::new(2);
    let (_zero, _) = hosts.start(0, |options, _| {
        (options.tls, options.connect_timeout) = (Some(files(&misnamed)), short);
    });
    let (one, lines) = hosts.start(1, |options, _| {
        (options.tls, options.connect_timeout) = (Some(files(&misnamed)), short);
    });
    let error = one.error();
    assert!(error.contains("not valid for name"), "{error}");
    lines.expect("waiting for process 0 (");
}

#[test]
fn a_loss_over_tls() {
    let Some(folder) = authority("peer", LOOPBACK) else { return };
    let timeout = Duration::from_secs(2);
    let mut hosts = Hosts::new(2);
    let (address, mode) = network(hosts.names[0].clone());
    hosts.names[0] = address;
    let both = [0, 1].map(|index| {
        let started = hosts.start(index, |options, _| {
            (options.tls, options.peer_timeout) = (Some(files(&folder)), timeout);
        });
        started.0
    });
    let both = both.map(|mesh| mesh.mesh());
    thread::sleep(timeout);
    assert!(both.iter().all(|mesh| mesh.lost().is_none()));
    let mut stream = both[0].streams()[1].take().unwrap();
    mode.store(CUT, std::sync::atomic::Ordering::SeqCst);
    let started = Instant::now();
    let writer = thread::spawn(move || stream.write_all(&vec![0; 64 << 20]).unwrap());
    for mesh in &both {
        until("loss", || mesh.lost().is_some(), String::new);
    }
    assert!(started.elapsed() < timeout, "{:?}", started.elapsed());
    writer.join().unwrap();
    // A death is seen at once.
    let (mut all, _) = meshes(2, |options, _| options.tls = Some(files(&folder)));
    drop(all.remove(0));
    until("loss", || all[0].lost().is_some(), String::new);
    assert!(all[0].lost().unwrap().reason.contains("closed the connection"));
}

#[test]
fn files_that_are_none() {
    let Some(folder) = authority("peer", LOOPBACK) else { return };
    let right = files(&folder);
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let none = folder.path().join("none");
    let changes: [fn(&mut TlsFiles, &Path); 3] = [
        |files, path| files.cert = path.to_owned(),
        |files, path| files.key = path.to_owned(),
        |files, path| files.ca = path.to_owned(),
    ];
    for path in [&empty, &none] {
        for change in changes {
            let mut hosts = Hosts::new(2);
            let mut files = right.clone();
            change(&mut files, path);
            let (zero, _) = hosts.start(0, |options, _| options.tls = Some(files));
            let error = zero.error();
            assert!(error.starts_with(&format!("{}: it ", path.display())), "{error}");
        }
    }
    // The key of another certificate.
    let Some(other) = authority("peer", LOOPBACK) else { return };
    let mut hosts = Hosts::new(2);
    let wrong = TlsFiles { key: files(&other).key, ..right };
    let (zero, _) = hosts.start(0, |options, _| options.tls = Some(wrong));
    assert!(zero.error().contains("it does not do for TLS: "));
}
