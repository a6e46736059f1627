//! The launcher: starts the processes of a run on this machine and supervises them.
//!
//! Each process is this program again with its index. It is ended by the system if the launcher dies. When
//! one has failed the others end by themselves, since they lose it; what does not end in time is killed.
//! Of the processes but the first only what differs from the others is shown.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cluster_args::{ClusterArgs, EPOCH_VARIABLE};
use super::console::Console;
use crate::cluster::{SECRET_VARIABLE, Secret};
use crate::engine::Observer;
use crate::model::{Error, ErrorKind, Result};

/// How often the processes are looked at.
const POLL: Duration = Duration::from_millis(20);

/// How long processes have to end by themselves after one has failed; then they are asked to.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long they have to end after that, beyond the peer time-out; then they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// Environment variable with the launcher's process id, for the processes that it starts.
const LAUNCHER_VARIABLE: &str = "PINGRAPH_LAUNCHER";

/// A process of the run.
struct Member {
    child: Child,
    /// The lines that it has written to standard error, if they are not shown as they come.
    lines: Option<JoinHandle<Vec<String>>>,
    status: Option<ExitStatus>,
}

/// Starts the processes and waits until all have ended; starts them anew, `args.restarts` times at most,
/// if one was lost.
///
/// # Errors
/// When a process cannot be started, or the run fails; its own error is shown by then.
pub fn launch(args: &ClusterArgs, console: &Console) -> Result<()> {
    let secret = Secret::random()?;
    let mut epoch = 0;
    loop {
        let failure = match run_once(args, console, &secret, epoch)? {
            None => return Ok(()),
            Some(failure) => failure,
        };
        if failure.kind != ErrorKind::Engine || epoch >= u64::from(args.restarts) {
            return Err(failure);
        }
        epoch += 1;
        let reason = if failure.what.is_empty() { "the run failed" } else { &failure.what };
        console.note(&format!("{reason}: attempt {} of {}", epoch + 1, args.restarts + 1));
    }
}

/// One attempt; gives why it failed, if it did.
fn run_once(
    args: &ClusterArgs,
    console: &Console,
    secret: &Secret,
    epoch: u64,
) -> Result<Option<Error>> {
    let cannot = |e: std::io::Error| Error::engine(format!("a process cannot be started: {e}"));
    let folder = std::env::temp_dir().join(format!("pingraph-{}-{epoch}", std::process::id()));
    make_private(&folder).map_err(cannot)?;
    let mut members = Vec::new();
    let count = usize::from(args.processes.unwrap_or(1));
    let mut started = Ok(());
    for index in 0..count {
        match start(index, &folder, secret, epoch) {
            Ok(member) => members.push(member),
            Err(error) => {
                started = Err(cannot(error));
                break;
            }
        }
    }
    if started.is_err() {
        members.iter_mut().for_each(|member| drop(member.child.kill()));
    }
    supervise(&mut members, args.peer_timeout + GRACE, console);
    // Nothing that the processes left there is needed any more.
    let _ = std::fs::remove_dir_all(&folder);
    show_lines(&mut members, console);
    started.map(|()| verdict(&members, console.interrupted()))
}

/// A new folder that only this user can read.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(folder)
}

fn start(index: usize, folder: &Path, secret: &Secret, epoch: u64) -> std::io::Result<Member> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args_os().skip(1))
        .arg("--rendezvous")
        .arg(folder)
        .args(["--process", &index.to_string()])
        .env(SECRET_VARIABLE, secret.expose())
        .env(EPOCH_VARIABLE, epoch.to_string())
        .env(LAUNCHER_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::null());
    if index > 0 {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let lines = child.stderr.take().map(|stderr| {
        std::thread::spawn(move || BufReader::new(stderr).lines().map_while(|l| l.ok()).collect())
    });
    Ok(Member { child, lines, status: None })
}

/// Waits until all processes have ended. After the first that fails, or an interrupt, the others are asked
/// to end as well, and have `grace` to do so.
fn supervise(members: &mut [Member], grace: Duration, console: &Console) {
    let (mut told, mut ending) = (false, None);
    loop {
        for member in members.iter_mut().filter(|member| member.status.is_none()) {
            match member.child.try_wait() {
                Ok(status) => member.status = status,
                // It is no child of ours any more.
                Err(_) => member.status = Some(ExitStatus::from_raw(1 << 8)),
            }
        }
        if members.iter().all(|member| member.status.is_some()) {
            return;
        }
        let failed = members.iter().any(|member| member.status.is_some_and(|s| !s.success()));
        if failed || console.interrupted() {
            let since = ending.get_or_insert_with(Instant::now).elapsed();
            if !told && (console.interrupted() || since > PATIENCE) {
                told = true;
                signal(members, Signal::TERM);
            }
            if since > grace {
                signal(members, Signal::KILL);
            }
        }
        std::thread::sleep(POLL);
    }
}

/// Sends `signal` to the processes that have not ended.
fn signal(members: &[Member], signal: Signal) {
    for member in members.iter().filter(|member| member.status.is_none()) {
        let pid = i32::try_from(member.child.id()).ok().and_then(Pid::from_raw);
        // It may have ended since.
        pid.map(|pid| kill_process(pid, signal));
    }
}

/// Shows what the processes but the first had to say, each line once. If the first has ended by itself
/// it has told the error of all.
fn show_lines(members: &mut [Member], console: &Console) {
    let told = tells(members);
    let mut shown = BTreeSet::new();
    for (index, member) in members.iter_mut().enumerate() {
        let lines = member.lines.take().and_then(|lines| lines.join().ok()).unwrap_or_default();
        for line in lines {
            if !(told && line.starts_with("error: ")) && shown.insert(line.clone()) {
                console.raw(&format!("process {index}: {line}"));
            }
        }
    }
}

/// Whether the first process has failed and told why.
fn tells(members: &[Member]) -> bool {
    let code = members.first().and_then(|member| member.status).and_then(|s| s.code());
    code.is_some_and(|code| code != 0)
}

/// Why the run failed, from how its processes ended; without words if the first has told why.
fn verdict(members: &[Member], interrupted: bool) -> Option<Error> {
    if interrupted {
        return Some(Error::new(ErrorKind::Interrupted, "the run was interrupted"));
    }
    let ended = || members.iter().enumerate().filter_map(|(i, m)| Some((i, m.status?)));
    if ended().all(|(_, status)| status.success()) {
        return None;
    }
    if let Some((index, signal)) = ended().find_map(|(i, status)| Some((i, status.signal()?))) {
        return Some(Error::engine(format!("process {index} was killed by signal {signal}")));
    }
    // Where one process gave a reason of its own, the others only say that they lost it.
    let codes = || ended().filter_map(|(index, status)| Some((index, status.code()?)));
    let kinds = [
        ErrorKind::Job,
        ErrorKind::Input,
        ErrorKind::Publish,
        ErrorKind::Engine,
        ErrorKind::Interrupted,
    ];
    let found = kinds.into_iter().find_map(|kind| {
        let code = i32::from(kind.exit_code());
        codes().find(|(_, ended)| *ended == code).map(|(index, _)| (index, kind))
    });
    let (index, kind) = found.unwrap_or((0, ErrorKind::Engine));
    let words = match tells(members) {
        true => String::new(),
        false => format!("process {index} of {} has failed", members.len()),
    };
    Some(Error::new(kind, words))
}

/// Has this process end with the launcher that started it, if one did.
pub fn end_with_launcher() {
    let launcher = std::env::var(LAUNCHER_VARIABLE).ok();
    let Some(launcher) = launcher.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else {
        return;
    };
    // Where the system cannot do it, the launcher's own signals must do.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    if rustix::process::getppid() != Some(launcher) {
        let _ = kill_process(rustix::process::getpid(), Signal::TERM);
    }
}
