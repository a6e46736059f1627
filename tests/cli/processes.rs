//! One job on several processes: the same bytes, and a quick and clean end when one of them fails.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};

use crate::support::{Files, Outcome, PARTITION, Place, assert_whole, files, matches};

/// Kills in a test run.
const KILLS: u32 = if cfg!(feature = "soak") { 100 } else { 20 };

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Within what time the loss of a process must be told here.
const PEER_TIMEOUT: Duration = Duration::from_secs(3);

/// The tables of [`JOB`].
const TABLES: [&str; 3] = ["degrees_pin", "degrees_user", "related"];

/// A job of some seconds in a build without all optimisations.
pub const JOB: &str = r#"[job]
name = "large"
as_of = "2026-11-01T00:00:00Z"
[source.synthetic]
lefts = 30000
rights = 8000
left_degree = { mu = 3.0 }
[features.degrees.degree]
[features.related.co_engagement]
[sink.parquet]
path = "out"
"#;

/// `run` of [`JOB`] on 2 x 2 workers, with `more`.
fn launch(place: &Place, more: &[&str]) -> Command {
    let own = ["run", "job.toml", "--processes", "2", "--workers", "2", "--peer-timeout", "3s"];
    prepared(place.command(&[&own[..], more].concat()), place)
}

/// Process `index` of those of `hosts.txt`, with `more`.
fn member(place: &Place, index: usize, more: &[&str]) -> Command {
    let index = index.to_string();
    let own = ["run", "job.toml", "--workers", "1", "--hosts", "hosts.txt", "--process", &index];
    prepared(place.command(&[&own[..], &["--peer-timeout", "3s"], more].concat()), place)
}

/// `command` with a fixed clock, and whatever it puts into the folder of temporary files put where the test
/// sees it.
pub fn prepared(mut command: Command, place: &Place) -> Command {
    fs::create_dir_all(place.path("tmp")).unwrap();
    command.env("SOURCE_DATE_EPOCH", "1800000000").env("TMPDIR", place.path("tmp"));
    command.env_remove("PINGRAPH_SECRET");
    command
}

/// Writes `hosts.txt`: so many free ports of loopback.
fn write_hosts(place: &Place, count: usize) -> Vec<String> {
    // Held together, so that they differ.
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<String> =
        listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    place.write("hosts.txt", (hosts.join("\n") + "\n").as_bytes());
    hosts
}

/// The published partitions, in order of [`TABLES`]; `None` where there is none.
pub fn published(place: &Place) -> Vec<Option<Files>> {
    let folder = |table| place.path("out").join(table).join(PARTITION);
    TABLES.iter().map(|table| files(&folder(table))).collect()
}

/// What one process publishes.
pub fn reference(place: &Place) -> Vec<Option<Files>> {
    let run = ["run", "job.toml", "--workers", "2"];
    Outcome::of(&prepared(place.command(&run), place).output().unwrap()).succeeds();
    let found = published(place);
    found.iter().for_each(|files| assert_whole(files.as_ref().unwrap()));
    fs::remove_dir_all(place.path("out")).unwrap();
    found
}

/// The processes that `launcher` has started.
fn children(launcher: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{launcher}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').flat_map(str::parse).collect::<Vec<u32>>()).collect()
}

fn signal(pid: u32, signal: &str) {
    let _ = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).output();
}

/// Whether a process is there and does anything.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn wait_until(what: &str, most: Duration, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < most, "{what} took more than {most:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of `child`, within `most`.
pub fn end(mut child: Child, most: Duration) -> Outcome {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > most {
            let left = children(child.id());
            left.iter().for_each(|&pid| signal(pid, "KILL"));
            child.kill().unwrap();
            panic!("it did not end within {most:?}: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome::of(&child.wait_with_output().unwrap())
}

/// Fails if the run has left a process, a temporary file or staging.
fn assert_clean(place: &Place, pids: &[u32]) {
    let alive: Vec<_> = pids.iter().filter(|&&pid| lives(pid)).collect();
    assert!(alive.is_empty(), "processes go on: {alive:?}");
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 0, "temporary files stay");
    assert!(!place.path("out/_tmp").exists(), "staging stays: {:?}", place.out());
}

#[test]
fn processes_publish_what_one_process_does() {
    let place = Place::new(JOB);
    let whole = reference(&place);
    let child = launch(&place, &[]).spawn().unwrap();
    let outcome = end(child, PATIENCE);
    outcome.succeeds();
    assert!(published(&place) == whole, "other bytes");
    assert_clean(&place, &[]);
    for words in ["large: done in * on 2 processes of 2 workers*", "  network   2 processes of 2*"]
    {
        assert!(outcome.out.lines().any(|line| matches(line, words)), "{words}: {outcome:?}");
    }
    let related = "            related: busy *, *, *, *; busiest * x the mean; * sent, * an edge";
    assert!(outcome.out.lines().any(|line| matches(line, related)), "{outcome:?}");
    assert_eq!(outcome.err, "");
}

#[test]
fn a_process_killed_at_any_moment_ends_the_run_and_leaves_nothing() {
    let place = Place::new(JOB);
    let whole = reference(&place);
    let begin = Instant::now();
    end(launch(&place, &[]).spawn().unwrap(), PATIENCE).succeeds();
    let duration = begin.elapsed();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut unpublished = 0;
    for kill in 0..KILLS {
        fs::remove_dir_all(place.path("out")).ok();
        let share = (f64::from(kill) + random.random::<f64>()) / f64::from(KILLS);
        let begin = Instant::now();
        let child = launch(&place, &[]).spawn().unwrap();
        wait_until("starting", PATIENCE, || children(child.id()).len() == 2);
        let pids = children(child.id());
        let left = duration.mul_f64(share).saturating_sub(begin.elapsed());
        std::thread::sleep(left);
        signal(pids[kill as usize % 2], "KILL");
        let killed = Instant::now();
        let outcome = end(child, PATIENCE);
        let found = published(&place);
        if outcome.code == Some(0) {
            assert!(found == whole, "kill {kill}: it came too late, but the bytes are others");
        } else {
            assert_eq!(outcome.code, Some(4), "kill {kill}: {outcome:?}");
            assert!(killed.elapsed() < PEER_TIMEOUT, "kill {kill}: {:?}", killed.elapsed());
            // All or nothing; a kill after publishing is told all the same.
            let nothing = found.iter().all(Option::is_none);
            assert!(nothing || found == whole, "kill {kill}: {:?}", place.out());
            unpublished += u32::from(nothing);
            assert!(outcome.err.contains("was killed by signal 9"), "kill {kill}: {outcome:?}");
        }
        assert_clean(&place, &pids);
    }
    assert!(unpublished >= KILLS / 2, "only {unpublished} kills came before publishing");
    end(launch(&place, &[]).spawn().unwrap(), PATIENCE).succeeds();
    assert!(published(&place) == whole);
}

#[test]
fn a_stopped_process_is_named_by_the_others_within_the_peer_timeout() {
    let place = Place::new(JOB);
    let hosts = write_hosts(&place, 3);
    let log = ["--log", "json"];
    let members: Vec<Child> =
        (0..3).map(|index| member(&place, index, &log).spawn().unwrap()).collect();
    let pids: Vec<u32> = members.iter().map(Child::id).collect();
    wait_until("staging", PATIENCE, || place.path("out/_tmp").exists());
    signal(pids[1], "STOP");
    let stopped = Instant::now();
    for (index, child) in members.into_iter().enumerate() {
        if index == 1 {
            // It hears nothing as long as it is stopped; then it ends as well.
            signal(pids[1], "CONT");
        }
        let outcome = end(child, PATIENCE);
        if index == 0 {
            assert!(stopped.elapsed() < PEER_TIMEOUT + Duration::from_secs(2), "{outcome:?}");
        }
        assert_eq!(outcome.code, Some(4), "process {index}: {outcome:?}");
        let named = format!("process 1 (host {}) was lost", hosts[1]);
        let words = if index == 1 { "was lost" } else { named.as_str() };
        assert!(outcome.err.contains(words), "process {index}: {outcome:?}");
    }
    assert!(published(&place).iter().all(Option::is_none));
    assert_clean(&place, &pids);
}

#[test]
fn without_the_launcher_its_processes_end() {
    let place = Place::new(JOB);
    let mut child = launch(&place, &["--set", "source.synthetic.lefts=60000"]).spawn().unwrap();
    wait_until("starting", PATIENCE, || children(child.id()).len() == 2);
    let pids = children(child.id());
    wait_until("staging", PATIENCE, || place.path("out/_tmp").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("ending", PATIENCE, || pids.iter().all(|&pid| !lives(pid)));
    assert!(!place.path("out/_tmp").exists(), "staging stays: {:?}", place.out());
}

#[test]
fn ctrl_c_ends_all_processes() {
    let place = Place::new(JOB);
    let child = launch(&place, &["--set", "source.synthetic.lefts=60000"]).spawn().unwrap();
    wait_until("starting", PATIENCE, || children(child.id()).len() == 2);
    let pids = children(child.id());
    wait_until("staging", PATIENCE, || place.path("out/_tmp").exists());
    signal(child.id(), "INT");
    let outcome = end(child, PATIENCE);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert_clean(&place, &pids);
}

#[test]
fn an_error_of_one_process_is_the_error_of_all() {
    let place = Place::with_rows(&["1,2,save,2026-10-01T00:00:00Z,1.0"]);
    // Files are dealt out in turn: the second process has this one.
    place.write("in/b.csv", b"user_id,pin_id,action,event_time,weight\n1,,save,2026-10-01,1\n");
    let outcome = end(launch(&place, &[]).spawn().unwrap(), PATIENCE);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let one = prepared(place.command(&["run", "job.toml"]), &place).output().unwrap();
    let alone = Outcome::of(&one).err;
    assert_eq!(outcome.err, alone);
    assert!(place.rejects().contains("b.csv"));
}

#[test]
fn processes_that_do_not_fit_are_refused_with_the_reason() {
    let place = Place::new(JOB);
    write_hosts(&place, 2);
    let wait = ["--connect-timeout", "20s"];
    let pair = |first: Command, second: Command| {
        let [mut first, mut second] = [first, second];
        let (first, second) = (first.spawn().unwrap(), second.spawn().unwrap());
        [end(first, PATIENCE), end(second, PATIENCE)]
    };
    // Another job.
    let other = [&wait[..], &["--set", "features.related.co_engagement.top_k=3"]].concat();
    let outcomes = pair(member(&place, 0, &wait), member(&place, 1, &other));
    let said: Vec<&Outcome> = outcomes.iter().filter(|o| o.err.contains("job")).collect();
    assert!(!said.is_empty() && outcomes.iter().all(|o| o.code == Some(4)), "{outcomes:?}");
    // Another build of the same version.
    let copy = place.path("pingraph");
    fs::copy(env!("CARGO_BIN_EXE_pingraph"), &copy).unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    bytes.push(0);
    fs::write(&copy, bytes).unwrap();
    let usual = member(&place, 1, &wait);
    let mut own = Command::new(&copy);
    own.args(usual.get_args()).current_dir(place.path("")).stdout(std::process::Stdio::piped());
    let own = prepared(own, &place).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let usual = member(&place, 0, &wait).spawn().unwrap();
    let outcomes = [end(usual, PATIENCE), end(own, PATIENCE)];
    let said: Vec<&Outcome> = outcomes.iter().filter(|o| o.err.contains("build")).collect();
    assert!(!said.is_empty() && outcomes.iter().all(|o| o.code == Some(4)), "{outcomes:?}");
    assert!(!place.path("out").exists());
}

#[test]
fn a_late_process_is_waited_for_and_a_missing_one_is_named() {
    let place = Place::new(JOB);
    let whole = reference(&place);
    let hosts = write_hosts(&place, 2);
    let first = member(&place, 0, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let second = member(&place, 1, &[]).spawn().unwrap();
    end(first, PATIENCE).succeeds();
    end(second, PATIENCE).succeeds();
    assert!(published(&place) == whole);
    fs::remove_dir_all(place.path("out")).unwrap();
    let alone = member(&place, 0, &["--connect-timeout", "1s"]).output().unwrap();
    let alone = Outcome::of(&alone);
    assert_eq!(alone.code, Some(4), "{alone:?}");
    let missing = format!("missing: process 1 ({})", hosts[1]);
    assert!(alone.err.contains(&missing), "{alone:?}");
    assert!(!place.path("out").exists());
}

#[test]
fn one_process_that_cannot_write_fails_all_of_them() {
    let place = Place::new(JOB);
    write_hosts(&place, 2);
    let first = member(&place, 0, &[]).spawn().unwrap();
    let second = member(&place, 1, &[]);
    let args: Vec<_> = second.get_args().collect();
    // Files of 8 KiB at most, as on a disk that is nearly full.
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
    limited.arg(second.get_program()).args(args).current_dir(place.path(""));
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let second = prepared(limited, &place).spawn().unwrap();
    let outcomes = [end(first, PATIENCE), end(second, PATIENCE)];
    for outcome in &outcomes {
        assert_eq!(outcome.code, Some(5), "{outcomes:?}");
    }
    let lines: BTreeSet<&str> = outcomes.iter().filter_map(|o| o.err.lines().last()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(published(&place).iter().all(Option::is_none));
    assert!(!Path::new(&place.path("out/_tmp")).exists(), "{:?}", place.out());
}

#[test]
fn restarts_begin_a_new_attempt_after_a_loss() {
    let place = Place::new(JOB);
    let whole = reference(&place);
    let child = launch(&place, &["--restarts", "2"]).spawn().unwrap();
    wait_until("starting", PATIENCE, || children(child.id()).len() == 2);
    wait_until("the first tables", PATIENCE, || kept(&place).len() == 2);
    let pids = children(child.id());
    signal(pids[1], "KILL");
    let outcome = end(child, PATIENCE);
    outcome.succeeds();
    for words in ["attempt 2 of 3", "degrees_pin is taken up", "degrees_user is taken up"] {
        assert!(outcome.err.contains(words), "{words}: {outcome:?}");
    }
    assert!(published(&place) == whole);
    assert_clean(&place, &pids);
}

/// The staged tables that are kept for the next attempt, as paths.
fn kept(place: &Place) -> Vec<String> {
    place.out().into_iter().filter(|path| path.ends_with("/_kept")).collect()
}

#[test]
fn an_attempt_takes_up_whole_tables_only() {
    let place = Place::new(JOB);
    let whole = reference(&place);
    write_hosts(&place, 2);
    let attempt = |epoch: u32| {
        let start = |index| {
            let mut command = member(&place, index, &["--resume", "--connect-timeout", "20s"]);
            command.env("PINGRAPH_EPOCH", epoch.to_string()).spawn().unwrap()
        };
        [start(0), start(1)]
    };
    let [first, second] = attempt(1);
    wait_until("the first tables", PATIENCE, || kept(&place).len() == 2);
    signal(second.id(), "KILL");
    for child in [first, second] {
        end(child, PATIENCE);
    }
    assert_eq!(kept(&place).len(), 2, "{:?}", place.out());
    // One of the two is damaged.
    let part = place.out().into_iter().find(|path| path.contains("degrees_pin/part")).unwrap();
    let mut bytes = fs::read(place.path("out").join(&part)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(place.path("out").join(&part), bytes).unwrap();
    let [first, second] = attempt(2);
    let outcomes = [end(first, PATIENCE), end(second, PATIENCE)];
    for outcome in &outcomes {
        outcome.succeeds();
    }
    // A feature is taken up if all its tables are whole.
    assert!(!outcomes[0].err.contains("is taken up"), "{outcomes:?}");
    assert!(published(&place) == whole);
    assert_clean(&place, &[]);
}
