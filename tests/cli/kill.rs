//! Runs that are killed at any moment, and runs that are asked to stop.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};

use crate::support::{Files, Outcome, PARTITION, Place, assert_line, assert_whole, files, tree};

/// Kills in a test run.
const KILLS: u32 = 30;

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tables of [`JOB`].
const TABLES: [&str; 4] = ["degrees_pin", "degrees_user", "popular", "related"];

/// A job of about a second in a build without all optimisations.
const JOB: &str = r#"[job]
name = "large"
as_of = "2026-11-01T00:00:00Z"
[source.synthetic]
lefts = 20000
rights = 8000
left_degree = { mu = 3.0 }
[features.related.co_engagement]
[features.degrees.degree]
[features.popular.popularity]
[sink.parquet]
path = "out"
"#;

/// The same tables from other parameters, in a moment.
const EARLIER: [&str; 2] = ["--set", "source.synthetic={ lefts = 60, rights = 40 }"];

/// `run` of [`JOB`], whose bytes depend on nothing but its parameters.
fn run(place: &Place, more: &[&str]) -> Command {
    let mut command = place.command(&[&["run", "job.toml", "--workers", "2"], more].concat());
    command.env("SOURCE_DATE_EPOCH", "1800000000");
    command
}

/// Runs to the end and gives the published partitions, in order of [`TABLES`].
fn published(place: &Place, more: &[&str]) -> Vec<Files> {
    Outcome::of(&run(place, more).output().unwrap()).succeeds();
    assert!(!place.path("out/_tmp").exists(), "staging stays: {:?}", place.out());
    let partitions = TABLES.map(|table| files(&partition(place, table)).unwrap());
    partitions.iter().for_each(assert_whole);
    assert_eq!(place.out().len(), partitions.iter().map(Files::len).sum::<usize>());
    partitions.into()
}

fn partition(place: &Place, table: &str) -> PathBuf {
    place.path("out").join(table).join(PARTITION)
}

/// Reads a partition through one open folder; `None` if it was replaced meanwhile.
fn look(partition: &Path) -> Option<Files> {
    let folder = File::open(partition).expect("a partition is gone");
    let found = files(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())));
    let now = fs::metadata(partition).expect("a partition is gone").ino();
    found.filter(|_| folder.metadata().unwrap().ino() == now)
}

/// Fails unless each partition is, whole, that of one run or of the other. Gives how many are of
/// the second.
fn check(place: &Place, earlier: &[Files], later: &[Files]) -> usize {
    let mut of_later = 0;
    for (index, table) in TABLES.iter().enumerate() {
        let Some(found) = look(&partition(place, table)) else { continue };
        of_later += usize::from(found == later[index]);
        let known = found == earlier[index] || found == later[index];
        assert!(known, "{table} is neither run's: {:?}", found.keys());
    }
    of_later
}

#[test]
fn killed_at_any_moment_readers_see_whole_partitions_and_the_next_run_works() {
    let place = Place::new(JOB);
    let later = published(&place, &[]);
    let earlier = published(&place, &EARLIER);
    assert!(earlier.iter().zip(&later).all(|(a, b)| a != b), "the runs must differ");
    let begin = Instant::now();
    published(&place, &[]);
    let duration = begin.elapsed();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut unfinished, mut half_way) = (0, 0);
    for kill in 0..KILLS {
        // The next run after a kill, and the earlier one before the next.
        assert_eq!(published(&place, &EARLIER), earlier, "after kill {kill}");
        // A place in each thirtieth of the duration, so that no stage is left out.
        let share = (f64::from(kill) + random.random::<f64>()) / f64::from(KILLS);
        let begin = Instant::now();
        let child = Running(run(&place, &[]).spawn().unwrap());
        while begin.elapsed() < duration.mul_f64(share) {
            check(&place, &earlier, &later);
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(child);
        let of_later = check(&place, &earlier, &later);
        unfinished += u32::from(of_later < TABLES.len());
        half_way += u32::from(place.path("out/_tmp").exists());
    }
    assert_eq!(published(&place, &[]), later);
    println!("{half_way} kills left staging, {unfinished} came before the last rename");
    assert!(half_way >= KILLS / 3, "{half_way} kills hit a run with staging, {unfinished} in time");
}

#[test]
fn a_reader_that_never_looks_away_always_finds_every_partition() {
    let place = Place::new(JOB);
    let other = ["--set", "source.synthetic={ lefts = 50, rights = 30 }"];
    let (one, two) = (published(&place, &other), published(&place, &EARLIER));
    let paths = TABLES.map(|table| partition(&place, table));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // One call a table, so that even a gap of microseconds between two renames shows.
            while !done.load(Ordering::Relaxed) {
                for path in &paths {
                    assert!(path.exists(), "{} was gone", path.display());
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                check(&place, &one, &two);
            }
        });
        let runs = (0..5).flat_map(|_| [&other, &EARLIER]).map(|more| run(&place, more).output());
        let outcomes: Vec<_> = runs.collect();
        done.store(true, Ordering::Relaxed);
        for output in outcomes {
            Outcome::of(&output.unwrap()).succeeds();
        }
    });
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `path` is there while `child` runs.
fn wait_for(path: &Path, child: &mut Child) {
    let begin = Instant::now();
    while !path.exists() {
        let over = child.try_wait().unwrap().is_some() || begin.elapsed() > PATIENCE;
        if over {
            let _ = child.kill();
            child.wait().unwrap();
            panic!("{} never came", path.display());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends `signal` to `child` and waits for its end.
fn stop(mut child: Child, signal: &str) -> Outcome {
    let pid = child.id().to_string();
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(sent.unwrap().success());
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("SIG{signal} did not end the process");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome::of(&child.wait_with_output().unwrap())
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let place = Place::new(JOB);
    let large = ["--set", "source.synthetic.lefts=60000"];
    for signal in ["INT", "TERM"] {
        let mut child = run(&place, &large).spawn().unwrap();
        wait_for(&place.path("out/_tmp"), &mut child);
        stop(child, signal).fails(130, "the run was interrupted");
        assert!(!place.path("out").exists(), "{:?}", place.out());
    }
    // While tables are written, beside a published partition.
    let earlier = published(&place, &EARLIER);
    let paths = place.out();
    for signal in ["INT", "TERM"] {
        let mut child = run(&place, &large).spawn().unwrap();
        wait_for(&place.path("out/_tmp/dt=2026-11-01.lock"), &mut child);
        let begin = Instant::now();
        let staged = || tree(&place.path("out/_tmp")).iter().any(|path| path.contains("/degrees"));
        while !staged() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        stop(child, signal).fails(130, "the run was interrupted");
        assert_eq!(place.out(), paths);
        check(&place, &earlier, &earlier);
    }
}

#[test]
fn ctrl_c_in_a_run_with_bad_rows_leaves_no_rejects() {
    let mut rows = String::from("user_id,pin_id\n,5\n");
    (0..1_500_000u64).for_each(|i| rows.push_str(&format!("{},{}\n", i % 70_000, i * i % 9973)));
    let place = Place::new(
        "[job]\nname = \"rows\"\nas_of = \"2026-11-01\"\n[source.csv]\npath = \"in.csv\"\n[columns]\n\
         left = \"user_id\"\nright = \"pin_id\"\n[features.related.co_engagement]\n[sink.parquet]\n",
    );
    place.write("in.csv", rows.as_bytes());
    let mut child = run(&place, &[]).spawn().unwrap();
    wait_for(&place.path("out/rows/_tmp"), &mut child);
    stop(child, "INT").fails(130, "the run was interrupted");
    assert!(!place.path("out").exists(), "{:?}", place.out());
}

#[test]
fn ctrl_c_in_generate_leaves_nothing_behind() {
    let place = Place::new(JOB);
    place.write("spec.toml", b"lefts = 2_000_000\nrights = 100_000\n");
    let before = tree(&place.path(""));
    let child = place.command(&["generate", "spec.toml", "--out", "data"]).spawn().unwrap();
    let staging = place.path(&format!(".data.{}.tmp", child.id()));
    let mut child = child;
    wait_for(&staging, &mut child);
    let outcome = stop(child, "INT");
    assert_eq!(outcome.code, Some(130));
    assert_line(&outcome.err, "error: the run was interrupted");
    assert_eq!(tree(&place.path("")), before);
}
