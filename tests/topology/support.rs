//! Runs jobs and reads back every byte that they publish.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use pingraph::Error;
use pingraph::cluster::{Membership, MeshOptions};
use pingraph::engine::{Cluster, Report, RunOptions, Workers, run_with};
use pingraph::job::{Job, Overrides};

/// 2026-11-01T00:00:00Z.
pub const AS_OF_US: i64 = 1_793_491_200_000_000;

/// One event: user, pin, action, microseconds since 1970.
pub type Event = (i64, i64, &'static str, i64);

/// Events of `users` x `pins`, heavy at both heads, with many equal times and exact duplicates.
pub fn zipf_events(users: i64, pins: i64, count: usize) -> Vec<Event> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut events: Vec<Event> = Vec::with_capacity(count);
    while events.len() < count {
        if !events.is_empty() && draw() < 0.05 {
            let copied = (draw() * events.len() as f64) as usize;
            events.push(events[copied]);
            continue;
        }
        let user = 7 + 13 * (users as f64 * draw().powi(3)) as i64;
        let pin = 1_000 - 11 * (pins as f64 * draw().powi(4)) as i64;
        let action = match draw() {
            x if x < 0.65 => "closeup",
            x if x < 0.93 => "save",
            x if x < 0.97 => "hide",
            _ => "impression",
        };
        // Whole hours, so that many events of a user have equal times.
        let hours = (draw() * 24.0 * 100.0) as i64;
        events.push((user, pin, action, AS_OF_US + 3_600_000_000 * (24 - hours)));
    }
    events
}

/// Writes `events` as Parquet into `files` files of `folder`, dealt out one by one.
pub fn write_events(folder: &Path, events: &[Event], files: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for file in 0..files {
        let share: Vec<&Event> = events.iter().skip(file).step_by(files).collect();
        let columns: [(&str, ArrayRef); 4] = [
            ("user_id", Arc::new(share.iter().map(|e| e.0).collect::<Int64Array>())),
            ("pin_id", Arc::new(share.iter().map(|e| e.1).collect::<Int64Array>())),
            ("action", Arc::new(share.iter().map(|e| Some(e.2)).collect::<StringArray>())),
            (
                "event_time",
                Arc::new(
                    share
                        .iter()
                        .map(|e| Some(e.3))
                        .collect::<TimestampMicrosecondArray>()
                        .with_timezone("UTC"),
                ),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let path = folder.join(format!("events-{file:02}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// The job `features` (TOML tables below `[features]`) over the Parquet events of `input`.
pub fn job(input: &Path, out: &Path, features: &str) -> Job {
    let source = format!("[source.parquet]\npath = {input:?}\n{COLUMNS}");
    job_from(&source, out, features)
}

/// What [`write_events`] and the synthetic source call their columns.
const COLUMNS: &str = r#"
[columns]
left = "user_id"
right = "pin_id"
action = "action"
time = "event_time"
"#;

/// The job `features` over `source`: its table, and `[columns]` where it needs them.
pub fn job_from(source: &str, out: &Path, features: &str) -> Job {
    let text = format!(
        r#"
[job]
name = "test"
as_of = "2026-11-01T00:00:00Z"
{source}
[graph]
left = "user"
right = "pin"
window = "90d"
half_life = "30d"
left_degree_max = 150
[graph.actions]
save = 1.0
closeup = 0.2
hide = "remove"
{features}
[sink.parquet]
path = {out:?}
"#
    );
    Job::from_toml(&text, Path::new("test.toml"), &Overrides::default()).unwrap()
}

/// The figure `name` that `table` notes about its computation.
pub fn note<'a>(report: &'a Report, table: &str, name: &str) -> &'a str {
    let feature = report.features.iter().find(|feature| feature.table == table).unwrap();
    let found = feature.notes.iter().find(|(found, _)| found == name);
    &found.unwrap_or_else(|| panic!("no {name} in {:?}", feature.notes)).1
}

/// Processes, and workers of each.
pub type Topology = (usize, usize);

/// One process of one to four workers, and several processes.
pub const TOPOLOGIES: [Topology; 7] = [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1)];

/// Runs `job` with a fixed clock; what its process 0 reports.
pub fn run(job: &Job, topology: Topology) -> Report {
    let mut reports = run_all(job, topology).into_iter();
    reports.next().unwrap().unwrap()
}

/// Runs `job` with a fixed clock, each process in a thread of this one, over sockets on loopback; what
/// each process reports.
pub fn run_all(job: &Job, (processes, workers): Topology) -> Vec<Result<Report, Error>> {
    let listeners: Vec<_> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<String> =
        listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    let member = |(process, listener): (usize, TcpListener)| {
        let mesh = MeshOptions {
            membership: Membership { hosts: hosts.clone(), process },
            secret: None,
            epoch: 0,
            connect_timeout: Duration::from_secs(60),
            peer_timeout: Duration::from_secs(30),
            log: Arc::new(|_| ()),
            interrupted: Arc::new(|| false),
            #[cfg(feature = "tls")]
            tls: None,
        };
        let cluster = Cluster { mesh, listener: Some(Arc::new(listener)) };
        let cluster = (processes > 1).then_some(cluster);
        let options = RunOptions { created_us: Some(0), cluster, ..RunOptions::default() };
        move || run_with(job, Workers::threads(workers), &options)
    };
    std::thread::scope(|scope| {
        let members = listeners.into_iter().enumerate();
        let members: Vec<_> = members.map(|m| scope.spawn(member(m))).collect();
        members.into_iter().map(|member| member.join().unwrap()).collect()
    })
}

/// Every Parquet file below `root`, by path; the run's id, which names the input files too, is cut
/// off the names.
pub fn published(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                let bytes = std::fs::read(&path).unwrap();
                let name = path.file_name().unwrap().to_str().unwrap();
                let part = path.with_file_name(&name[.."part-00000".len()]);
                files.insert(part.strip_prefix(root).unwrap().to_path_buf(), bytes);
            }
        }
    }
    files
}

/// Asserts that both published the same files with the same bytes.
pub fn assert_same(what: &str, a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) {
    assert!(!a.is_empty(), "{what}: nothing was published");
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (path, bytes) in a {
        assert!(bytes == &b[path], "{what}: {} differs", path.display());
    }
}
