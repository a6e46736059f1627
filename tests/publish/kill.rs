//! kill -9 at random moments of a commit, while readers look on.
//!
//! The test runs its own program again as the process that publishes: it publishes generation
//! after generation and says when each commit begins and ends. The test kills it at a random
//! moment of a commit, lets the next run clean up, and starts it again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pingraph::sink::Output;

use crate::support::{AS_OF_US, PARTITION, RUN_ID, Seen, look, publish, stage};

const TABLES: [&str; 2] = ["a_table", "b_table"];

/// Where the child publishes; without it the child does nothing.
const ROOT: &str = "PINGRAPH_TEST_PUBLISH_ROOT";

/// The generation that the child begins with.
const GENERATION: &str = "PINGRAPH_TEST_PUBLISH_GENERATION";

/// Times that the child is killed.
const KILLS: u32 = 40;
/// Kills at most, if none of those has hit the renames.
const KILLS_MOST: u32 = 20 * KILLS;

/// Generations after which a child that nobody kills ends by itself.
const GENERATIONS_MAX: u32 = 1_000;

#[test]
#[ignore = "the process that the other test kills"]
fn child_publishes() {
    let (Ok(root), Ok(first)) = (std::env::var(ROOT), std::env::var(GENERATION)) else { return };
    let first: u32 = first.parse().unwrap();
    for generation in first..first + GENERATIONS_MAX {
        let output = Output::open(Path::new(&root), AS_OF_US, RUN_ID).unwrap();
        let manifests = stage(&output, &TABLES, generation).unwrap();
        println!("commit {generation}");
        output.commit(manifests).unwrap();
        println!("done {generation}");
    }
}

/// A child and the last lines that it wrote.
struct Publisher {
    child: Child,
    lines: BufReader<ChildStdout>,
    begun: u32,
    done: u32,
}

impl Publisher {
    fn start(root: &Path, generation: u32) -> Publisher {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child_publishes", "--exact", "--ignored", "--nocapture"])
            .env(ROOT, root)
            .env(GENERATION, generation.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Publisher { child, lines, begun: 0, done: 0 }
    }

    /// Reads lines until one begins with `word`, or to the end.
    fn wait_for(&mut self, word: &str) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            // The harness writes its own lines, the first of which ends where ours begins.
            let of = |word: &str| line.rsplit_once(word)?.1.trim().parse().ok();
            if let Some(generation) = of("commit ") {
                self.begun = generation;
            }
            if let Some(generation) = of("done ") {
                self.done = generation;
            }
            if line.contains(word) {
                return true;
            }
            line.clear();
        }
        false
    }

    /// kill -9, and what the child had still said.
    fn kill(mut self) -> (u32, u32) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.wait_for("no such line");
        (self.begun, self.done)
    }
}

fn partitions(root: &Path) -> Vec<PathBuf> {
    TABLES.iter().map(|table| root.join(table).join(PARTITION)).collect()
}

/// Reads all partitions over and over; each must be there and whole, and never go back.
fn read_until(stop: &AtomicBool, root: &Path, looks: &AtomicU64) -> Result<(), String> {
    let partitions = partitions(root);
    let mut newest = vec![0; partitions.len()];
    while !stop.load(Ordering::Relaxed) {
        for (partition, newest) in partitions.iter().zip(&mut newest) {
            match look(partition).map_err(|e| format!("{}: {e}", partition.display()))? {
                Seen::Nothing => return Err(format!("{} was gone", partition.display())),
                Seen::Replaced => {}
                Seen::Whole(generation) if generation < *newest => {
                    return Err(format!("generation {generation} came back after {newest}"));
                }
                Seen::Whole(generation) => *newest = generation,
            }
            looks.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

#[test]
fn forty_kills_leave_old_or_new_and_the_next_run_completes_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    publish(root, &TABLES, 1).unwrap();
    let (stop, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&stop, root, &looks));
        let outcome = std::panic::catch_unwind(|| kill_again_and_again(root));
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap().unwrap();
        outcome.unwrap();
    });
    assert!(looks.load(Ordering::Relaxed) > 1_000, "the reader must have looked often");
}

fn kill_again_and_again(root: &Path) {
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let (mut published, mut journals, mut rolled_forward) = (1, 0, 0);
    let (mut commit_time, mut kills) = (Duration::ZERO, 0);
    for kill in 0..KILLS_MOST {
        // The renames take well under a millisecond on a fast disk: go on until one was hit.
        if kill >= KILLS && rolled_forward > 0 {
            break;
        }
        kills = kill + 1;
        let mut publisher = Publisher::start(root, published + 1);
        assert!(publisher.wait_for("commit "));
        if kill % 8 == 0 {
            // A commit in full, to know how long it takes.
            let begin = Instant::now();
            assert!(publisher.wait_for("done ") && publisher.wait_for("commit "));
            commit_time = begin.elapsed();
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Later moments more often, as the renames are at the end; then all alike.
        let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
        let moment = if kill < KILLS { uniform.sqrt() } else { uniform };
        std::thread::sleep(commit_time.mul_f64(moment));
        let (begun, done) = publisher.kill();
        let done = done.max(published);

        let journal = root.join("_tmp").join(format!("{PARTITION}.journal")).exists();
        journals += u32::from(journal);
        // The next run: opening it completes what was cut off.
        drop(Output::open(root, AS_OF_US, RUN_ID).unwrap());
        let seen: Vec<_> = partitions(root).iter().map(|path| look(path).unwrap()).collect();
        let Seen::Whole(generation) = seen[0] else { panic!("kill {kill}: {seen:?}") };
        assert!(seen.iter().all(|other| *other == seen[0]), "kill {kill}: {seen:?}");
        let expected = if journal { begun..=begun } else { done..=begun };
        assert!(expected.contains(&generation), "kill {kill}: {generation} after {done}, {begun}");
        rolled_forward += u32::from(journal && generation > done);
        assert!(!root.join("_tmp").exists(), "kill {kill}: there are leftovers");
        published = generation;
    }
    println!("{kills} kills: {journals} left a journal, {rolled_forward} of them were completed");
    assert!(rolled_forward > 0, "no kill hit the renames: the test has lost its point");
}
