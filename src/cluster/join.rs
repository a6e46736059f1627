//! Makes the connections: one thread dials each process of a lower index, and those of a higher
//! index are accepted, each on a thread of its own, until all are there.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::model::{Error, ErrorKind, Result};

use super::handshake::{Claim, Finding, Refusal, Role, Session, compare};
use super::hub::Hub;
use super::link::Link;
use super::membership::Membership;
use super::mesh::{Agreement, Mesh, MeshOptions};
use super::watch::{Joining, Slot};

/// How long a handshake may take, all of it.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// How long one attempt at a connection may take.
const DIAL_MAX: Duration = Duration::from_secs(2);
/// Pauses between attempts.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody knocks.
const POLL: Duration = Duration::from_millis(5);

/// Connects this process to all others of its membership.
///
/// It listens on its own address, or on `listener` if that is given, until all others are there or
/// `options.connect_timeout` is over. Whoever is not wanted is refused with a line of the log, and
/// it goes on waiting.
///
/// # Errors
///
/// Not all processes came; this process does not belong to the run (another job, engine, list of
/// hosts, an old epoch, an index that is taken); a process that had come was lost; there is no
/// secret, and not all is on loopback.
pub fn connect(
    options: MeshOptions,
    agreement: &Agreement,
    listener: Option<TcpListener>,
) -> Result<Mesh> {
    let claim = check(&options, agreement)?;
    let membership = &options.membership;
    let hub = Arc::new(Hub::new(
        membership.process,
        membership.hosts.clone(),
        agreement.workers,
        options.peer_timeout,
        Arc::clone(&options.log),
    ));
    if membership.hosts.len() == 1 {
        return Ok(Mesh::new(hub));
    }
    let deadline = Instant::now() + options.connect_timeout;
    let listener = match listener {
        Some(listener) => listener,
        None => bind(&options, deadline)?,
    };
    let local = listener.local_addr().map_err(no_listener)?;
    if options.secret.is_none() && !is_loopback(local.ip()) {
        return Err(no_secret(&format!("this process listens on {local}")));
    }
    listener.set_nonblocking(true).map_err(no_listener)?;
    let joining = Arc::new(Joining::new(hub, options, claim, deadline)?);
    let result = dial_all(&joining).and_then(|()| accept_until_complete(&joining, &listener));
    joining.end();
    match result {
        Ok(()) => Ok(Mesh::new(Arc::clone(&joining.hub))),
        Err(error) => {
            joining.hub.abandon();
            Err(error)
        }
    }
}

/// What this process claims, `to` left open; and whether the options make sense.
fn check(options: &MeshOptions, agreement: &Agreement) -> Result<Claim> {
    let Membership { hosts, process } = &options.membership;
    if *process >= hosts.len() || u32::try_from(hosts.len()).is_err() {
        let what = format!("process {process} is none of the {} hosts", hosts.len());
        return Err(Error::job(what));
    }
    if agreement.workers == 0 || options.peer_timeout < Duration::from_millis(100) {
        return Err(Error::job("a process has at least one worker, and 100 ms to be heard of"));
    }
    let claim = Claim {
        from: *process as u32,
        to: 0,
        epoch: options.epoch,
        engine: agreement.engine.clone(),
        job: agreement.job.clone(),
        workers: agreement.workers,
        peer_timeout_ms: options.peer_timeout.as_millis() as u64,
        hosts: hosts.clone(),
    };
    if !claim.fits() {
        return Err(Error::job("the list of hosts is too long for a handshake"));
    }
    Ok(claim)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn no_secret(what: &str) -> Error {
    Error::job(format!("there is no secret, and {what}, which is not loopback"))
        .remedy(format!("give all processes the same {}", super::SECRET_VARIABLE))
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "the run was interrupted")
}

fn no_listener(error: io::Error) -> Error {
    Error::engine(format!("cannot listen for the other processes: {error}"))
}

/// Listens on the own address. A name that is not known yet, as that of a pod that has just
/// started, and a port that an earlier attempt still holds are waited for.
fn bind(options: &MeshOptions, deadline: Instant) -> Result<TcpListener> {
    let host = &options.membership.hosts[options.membership.process];
    let mut told = false;
    loop {
        let error = match host.to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
            Ok(addresses) => {
                let outside = addresses.iter().find(|address| !is_loopback(address.ip()));
                if let (None, Some(address)) = (&options.secret, outside) {
                    return Err(no_secret(&format!("this process is {host} ({address})")));
                }
                match TcpListener::bind(&addresses[..]) {
                    Ok(listener) => return Ok(listener),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if (options.interrupted)() {
            return Err(interrupted());
        }
        let passing = !matches!(
            error.kind(),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied
        );
        let what =
            format!("process {} cannot listen on {host}: {error}", options.membership.process);
        if !passing || Instant::now() + PAUSE_MAX / 4 >= deadline {
            let remedy = match error.kind() {
                io::ErrorKind::AddrInUse => "is a process of this index running there already?",
                _ => "its entry in the list of hosts must be an address of this machine",
            };
            return Err(Error::engine(what).remedy(remedy));
        }
        if !told {
            (options.log)(&format!("{what}; trying again"));
            told = true;
        }
        thread::sleep(PAUSE_MAX / 4);
    }
}

/// Starts a thread for each process of a lower index.
fn dial_all(joining: &Arc<Joining>) -> Result<()> {
    for process in 0..joining.hub.process {
        let joining = Arc::clone(joining);
        thread::Builder::new()
            .name(format!("mesh:dial-{process}"))
            .spawn(move || dial(&joining, process))
            .map_err(|error| Error::engine(format!("cannot start a thread: {error}")))?;
    }
    Ok(())
}

/// Connects to `process`, again and again until it works or there is no sense in it.
fn dial(joining: &Arc<Joining>, process: usize) {
    let mut pause = PAUSE;
    while !joining.is_over() {
        let refusal = match attempt(joining, process) {
            Ok(()) => return,
            Err(refusal) => refusal,
        };
        if joining.is_over() {
            return;
        }
        let name = joining.hub.name(process);
        match refusal {
            Refusal::Fatal(text) => {
                let what = format!("{name} refused process {}: {text}", joining.hub.process);
                return joining.fail(Error::engine(what));
            }
            Refusal::Wait(text) => joining.note(process, &format!("{name}: {text}")),
        }
        let until = Instant::now() + pause;
        while !joining.is_over() && Instant::now() < until {
            thread::sleep(POLL);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One attempt to connect to `process`.
fn attempt(joining: &Arc<Joining>, process: usize) -> std::result::Result<(), Refusal> {
    let host = &joining.hub.hosts[process];
    let wait = |error: io::Error| Refusal::Wait(error.to_string());
    let addresses = host.to_socket_addrs().map_err(wait)?;
    let mut result = Err(Refusal::Wait("its name has no address".to_owned()));
    for address in addresses {
        if joining.options.secret.is_none() && !is_loopback(address.ip()) {
            return Err(Refusal::Fatal(no_secret(&format!("{host} is {address}")).to_string()));
        }
        let left = joining.deadline.saturating_duration_since(Instant::now());
        let time = DIAL_MAX.min(left).max(Duration::from_millis(1));
        result = TcpStream::connect_timeout(&address, time).map_err(wait).and_then(|tcp| {
            handshake(joining, tcp, Role::Initiator, host, |joining, link| {
                initiate(joining, link, process).map(|()| process)
            })
        });
        if !matches!(result, Err(Refusal::Wait(_))) {
            break;
        }
    }
    result
}

/// Runs one side of a handshake on a connection that is watched meanwhile, and joins the peer.
fn handshake(
    joining: &Arc<Joining>,
    tcp: TcpStream,
    role: Role,
    host: &str,
    agree: impl FnOnce(&Arc<Joining>, &mut Link) -> std::result::Result<usize, Refusal>,
) -> std::result::Result<(), Refusal> {
    let wait = |error: io::Error| Refusal::Wait(error.to_string());
    let started = Instant::now();
    Link::set_timeouts(&tcp, Some(HANDSHAKE_MAX), Some(HANDSHAKE_MAX)).map_err(wait)?;
    let watched = joining.watch(&tcp, role).map_err(wait)?;
    let result = joining.secure(tcp, role, host).map_err(wait).and_then(|mut link| {
        let process = agree(joining, &mut link)?;
        Ok((process, link))
    });
    let dropped = !joining.unwatch(watched);
    match result {
        Ok((process, link)) if !dropped => joining.complete(process, link),
        Ok((process, _)) => {
            joining.free(process);
            Err(Refusal::Wait("its handshake was dropped".to_owned()))
        }
        Err(_) if dropped && started.elapsed() >= HANDSHAKE_MAX => {
            let seconds = HANDSHAKE_MAX.as_secs();
            Err(Refusal::Wait(format!("it did not finish its handshake within {seconds} s")))
        }
        Err(_) if dropped => {
            Err(Refusal::Wait("too many handshakes at once; the oldest is dropped".to_owned()))
        }
        Err(refusal) => Err(refusal),
    }
}

/// The side that connects.
fn initiate(
    joining: &Joining,
    link: &mut Link,
    process: usize,
) -> std::result::Result<(), Refusal> {
    let mut session = Session::open(link, joining.key(), Role::Initiator)?;
    session.prove()?;
    let claim = Claim { to: process as u32, ..joining.claim.clone() };
    session.send_claim(&claim)?;
    let theirs = session.receive_claim()?;
    session.receive_verdict()?;
    let agreed = Claim { from: process as u32, to: claim.from, ..claim };
    if theirs != agreed {
        let refusal = Refusal::Wait("its claim is not what it agreed to".to_owned());
        session.send_verdict(Some(&refusal))?;
        return Err(refusal);
    }
    session.send_verdict(None)
}

/// The side that accepts; gives the index of the other, whose slot is taken by then.
fn respond(joining: &Joining, link: &mut Link) -> std::result::Result<usize, Refusal> {
    let mut session = Session::open(link, joining.key(), Role::Responder)?;
    session.prove()?;
    let theirs = session.receive_claim()?;
    session.send_claim(&Claim { to: theirs.from, ..joining.claim.clone() })?;
    let process = theirs.from as usize;
    let refusal = match compare(&theirs, &joining.claim) {
        Finding::Agreed => match joining.reserve(process) {
            Slot::Free => None,
            Slot::Reserved => {
                Some(Refusal::Wait(format!("another process {process} is joining at this moment")))
            }
            Slot::Joined => Some(Refusal::Fatal(format!(
                "there is a process {process} already; two were started with one index"
            ))),
        },
        Finding::Refused(refusal) => Some(refusal),
        Finding::Outdated(epoch) => {
            let mine = joining.claim.epoch;
            let text = format!("it is still of epoch {mine}, an earlier attempt");
            // This process ends in any case.
            let _ = session.send_verdict(Some(&Refusal::Wait(text)));
            let what = format!(
                "process {} is of epoch {mine}, an earlier attempt: {} is of epoch {epoch}",
                joining.hub.process,
                joining.hub.name(process)
            );
            joining.fail(Error::engine(&what));
            return Err(Refusal::Wait(what));
        }
    };
    if let Some(refusal) = refusal {
        joining.note_refused(process, refusal.text());
        // It is refused, whether it hears of it or not.
        let _ = session.send_verdict(Some(&refusal));
        return Err(refusal);
    }
    let agreed = session.send_verdict(None).and_then(|()| session.receive_verdict());
    if agreed.is_err() {
        joining.free(process);
    }
    agreed.map(|()| process)
}

/// Accepts until all are there.
fn accept_until_complete(joining: &Arc<Joining>, listener: &TcpListener) -> Result<()> {
    loop {
        if (joining.options.interrupted)() {
            joining.fail(interrupted());
        }
        if let Some(error) = joining.failure() {
            joining.hub.tell_leaving(joining.hub.process, &error.what);
            return Err(error);
        }
        if joining.is_complete() {
            return Ok(());
        }
        if Instant::now() >= joining.deadline {
            let (error, missing, reason) = joining.missing();
            joining.hub.tell_leaving(missing, &reason);
            return Err(error);
        }
        joining.expire(HANDSHAKE_MAX);
        match listener.accept() {
            Ok((tcp, address)) => accepted(joining, tcp, address),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL),
            Err(error) => {
                joining.log(&format!("a connection could not be accepted: {error}"));
                thread::sleep(POLL * 10);
            }
        }
    }
}

/// Hands a new connection to a thread.
fn accepted(joining: &Arc<Joining>, tcp: TcpStream, address: SocketAddr) {
    if joining.options.secret.is_none() && !is_loopback(address.ip()) {
        return joining.log(&format!("refused {address}: without a secret only loopback may come"));
    }
    let shared = Arc::clone(joining);
    let spawned = thread::Builder::new().name("mesh:accept".to_owned()).spawn(move || {
        let agree = |joining: &Arc<Joining>, link: &mut Link| respond(joining, link);
        let host = &shared.hub.hosts[shared.hub.process];
        if let Err(refusal) = handshake(&shared, tcp, Role::Responder, host, agree)
            && !shared.is_over()
        {
            shared.log(&format!("refused {address}: {}", refusal.text()));
        }
    });
    if let Err(error) = spawned {
        joining.log(&format!("refused {address}: cannot start a thread: {error}"));
    }
}
