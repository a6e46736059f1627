//! Running a job: the plan of its input, the workers, and publishing.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::features::{Features, Finished, Goal};
use super::ingest::begin_read;
use super::observe::{Observer, Silent};
use super::progress::Forward;
use super::report::{FeatureReport, ProcessReport, Report, SampledNode, StageTime};
use super::shared::{Shared, lock};
use super::team::{Cluster, Control, Team};
use super::workers::run_workers;
use crate::cluster::Mesh;
use crate::graph::Graph;
use crate::job::Job;
use crate::model::{Error, ErrorKind, KeyRef, KeyType, Keys, Reject, Result, Side};
use crate::signals::KeyFile;
use crate::sink::{
    FeatureRecord, InputRecord, KeptTable, Manifest, Output, RunRecord, Staging, clear_dead,
    run_id, write_rejects,
};
use crate::source::ScanPlan;

/// How many workers run a job. The features are the same for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers(NonZeroUsize);

impl Workers {
    /// `count` threads of this process; 0 is taken as 1.
    pub fn threads(count: usize) -> Workers {
        Workers(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
    }

    /// One thread for each core.
    pub fn cores() -> Workers {
        Workers(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// The number of workers.
    pub fn count(self) -> usize {
        self.0.get()
    }
}

/// What a run may be told beyond its job; none of it changes a feature.
#[derive(Clone)]
pub struct RunOptions {
    /// Hears of the run's progress and can stop it.
    pub observer: Arc<dyn Observer>,
    /// Value of `created_timestamp`, microseconds since 1970; the clock's if empty.
    pub created_us: Option<i64>,
    /// Whether tables that an earlier attempt at this run has finished are taken up, and those of this one kept
    /// should it fail.
    pub resume: bool,
    /// The other processes of the run, each of which runs the same job with as many workers.
    pub cluster: Option<Cluster>,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions { observer: Arc::new(Silent), created_us: None, resume: false, cluster: None }
    }
}

/// Runs `job` and publishes its features.
///
/// # Errors
/// One [`Error`] that says what is wrong, where, and what to do; nothing is published then.
pub fn run(job: &Job, workers: Workers) -> Result<Report> {
    run_with(job, workers, &RunOptions::default())
}

/// As [`run`], with options. With other processes, process 0 publishes and gives the whole report; the
/// others give their own part of it when all is published.
///
/// # Errors
/// As [`run`]; all processes give the error of the one that failed, or name the one that was lost.
pub fn run_with(job: &Job, workers: Workers, options: &RunOptions) -> Result<Report> {
    let begin = Instant::now();
    let plan = job.source.plan(&job.scan)?;
    let team = Team::meet(job, workers.count(), options.cluster.as_ref())?;
    let outcome = match team.leads() {
        true => lead(job, plan, &team, options, begin),
        false => follow(job, plan, &team, options, begin),
    };
    if !options.resume && team.lost().is_some_and(|lost| lost.process == 0) {
        // Nobody else is left to remove what process 0 wrote.
        clear_dead(&job.out, job.as_of_us);
    }
    team.leave(outcome.as_ref().err());
    // What another process has failed with comes first: an own error only follows from it.
    outcome.map_err(|error| team.failure().unwrap_or(error))
}

/// The run of process 0: it claims the output, and publishes.
fn lead(
    job: &Job,
    plan: ScanPlan,
    team: &Team,
    options: &RunOptions,
    begin: Instant,
) -> Result<Report> {
    let id = run_id(&job.canonical, &inputs(job, &plan), job.as_of_us);
    let keeps = options.resume;
    let output = Output::open_keeping(&job.out, job.as_of_us, &id, keeps)?;
    let kept = output.kept();
    // All rows of a run have one time, so those of a table that is taken up decide.
    let earlier = kept.values().next().map(|table| table.created_us);
    let created_us = earlier.or(options.created_us).unwrap_or_else(now_us);
    let names = kept.keys().cloned().collect();
    team.say(None, &Control::Begin { run_id: id.clone(), created_us, kept: names });
    let kept = kept.iter().map(|(name, kept)| (name.clone(), Some(kept.clone()))).collect();
    let goal = Goal::Publish { staging: output.staging().clone(), created_us, keeps };
    let features = execute(job, plan, (goal, kept), team, options)?;
    let mut processes = vec![process_report(&features.shared, team)];
    while processes.len() < team.topology.processes {
        processes.push(team.await_message(|_, message| match message {
            Control::Done(report) => Some(*report),
            _ => None,
        })?);
    }
    processes.sort_by_key(|report| report.process);
    let report = publish(features, output, processes, (id, created_us), begin)?;
    team.say(None, &Control::Published);
    Ok(report)
}

/// The run of any other process.
fn follow(
    job: &Job,
    plan: ScanPlan,
    team: &Team,
    options: &RunOptions,
    begin: Instant,
) -> Result<Report> {
    let (id, created_us, kept) = team.await_message(|_, message| match message {
        Control::Begin { run_id, created_us, kept } => Some((run_id, created_us, kept)),
        _ => None,
    })?;
    if id != run_id(&job.canonical, &inputs(job, &plan), job.as_of_us) {
        return Err(Error::input("this process sees other input files than process 0")
            .remedy("all processes must read the same files, of equal sizes and times"));
    }
    let staging = Staging::join(&job.out, job.as_of_us, &id)?;
    let observer = Arc::new(Forward::new(options.observer.clone(), team.post()));
    let options = RunOptions { observer, ..options.clone() };
    let kept = kept.into_iter().map(|name| (name, None)).collect();
    let goal = Goal::Publish { staging, created_us, keeps: options.resume };
    let features = execute(job, plan, (goal, kept), team, &options)?;
    let own = process_report(&features.shared, team);
    team.say(Some(0), &Control::Done(Box::new(own.clone())));
    team.await_message(|_, message| matches!(message, Control::Published).then_some(()))?;
    report(&features, vec![own], (id, Vec::new(), None), begin)
}

/// The rows of single nodes, given by side and key as written, with their neighbours; nothing is
/// published. Nodes that the graph does not have are left out.
///
/// # Errors
/// As [`run`].
pub fn sample(
    job: &Job,
    wanted: &[(Side, &str)],
    workers: Workers,
    options: &RunOptions,
) -> Result<Vec<SampledNode>> {
    let plan = job.source.plan(&job.scan)?;
    let goal = Goal::Sample(wanted.iter().map(|(side, key)| (*side, key.to_string())).collect());
    let team = Team::meet(job, workers.count(), None)?;
    let features = execute(job, plan, (goal, BTreeMap::new()), &team, options)?;
    let graph = features.shared.graph.get()?;
    let rows = std::mem::take(&mut *lock(&features.samples));
    let mut nodes = Vec::new();
    for &(side, key) in wanted {
        let Some(node) = super::sampling::find_node(&graph, side, key) else { continue };
        let other = graph.dictionary(side.other());
        let neighbours = graph.adjacency(side).neighbours(node);
        nodes.push(SampledNode {
            side,
            key: key.to_string(),
            neighbours: neighbours.iter().map(|&node| other.key(node).to_string()).collect(),
            rows: rows.iter().filter(|row| row.side == side).cloned().collect(),
        });
    }
    Ok(nodes)
}

/// Runs the dataflow on the workers of this process.
fn execute(
    job: &Job,
    plan: ScanPlan,
    (goal, kept): (Goal, BTreeMap<String, Option<KeptTable>>),
    team: &Team,
    options: &RunOptions,
) -> Result<Arc<Features>> {
    let key_files = read_key_files(job, &plan)?;
    let observer = options.observer.clone();
    let shared = Arc::new(Shared::new(job.clone(), plan, observer, team.topology));
    let features = Arc::new(Features::new(shared.clone(), goal, key_files, kept));
    team.attach(&shared);
    begin_read(&shared);
    run_workers(&features, team, Arc::new(job.edge_rules()))?;
    match shared.failure() {
        Some(error) => {
            let published = matches!(features.goal, Goal::Publish { .. });
            // An interrupted run has not seen all rows, and leaves nothing behind.
            if team.leads() && published && error.kind != ErrorKind::Interrupted {
                keep_rejects(&shared)?;
            }
            Err(error)
        }
        None => Ok(features),
    }
}

/// Path, bytes and modification time of the files that a run reads, key files among them: what
/// identifies its input.
fn inputs(job: &Job, plan: &ScanPlan) -> Vec<(String, u64, i64)> {
    let events = plan
        .files
        .iter()
        .map(|file| (file.path.display().to_string(), file.bytes, file.modified_us));
    let keys = job.features.iter().flat_map(|plan| plan.feature.key_files()).map(|file| {
        let metadata = std::fs::metadata(&file.path).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let bytes = metadata.map_or(0, |metadata| metadata.len());
        (file.path.display().to_string(), bytes, since.map_or(0, |time| time.as_micros() as i64))
    });
    events.chain(keys).collect()
}

/// Writes the rejects of `shared`, if there are any.
fn keep_rejects(shared: &Shared) -> Result<Option<PathBuf>> {
    let rejects: Vec<Reject> = std::mem::take(&mut *lock(&shared.rejects));
    if rejects.is_empty() {
        return Ok(None);
    }
    let job = &shared.job;
    let id = run_id(&job.canonical, &inputs(job, &shared.plan), job.as_of_us);
    write_rejects(&job.out, job.as_of_us, &id, &rejects).map(Some)
}

/// Publishes what the dataflow has left in staging.
fn publish(
    features: Arc<Features>,
    output: Output,
    processes: Vec<ProcessReport>,
    (run_id, created_us): (String, i64),
    begin: Instant,
) -> Result<Report> {
    let shared = features.shared.clone();
    let rejects = keep_rejects(&shared)?;
    shared.finish("write");
    warn_if_empty(&shared, &*shared.graph.get()?);
    let run = RunRecord {
        run_id: run_id.clone(),
        job: shared.job.name.clone(),
        canonical: shared.job.canonical.clone(),
        as_of_us: shared.job.as_of_us,
        created_us,
        inputs: inputs(&shared.job, &shared.plan)
            .into_iter()
            .map(|(path, bytes, modified_us)| InputRecord::new(path, bytes, modified_us))
            .collect(),
    };
    let finished = lock(&features.finished);
    let manifests = finished.iter().map(|table| manifest(&shared.job, &run, table)).collect();
    drop(finished);
    let paths = shared.timed(0, "publish", || output.commit(manifests));
    let Some(paths) = paths else {
        return Err(shared.failure().unwrap_or_else(|| Error::publish("nothing was published")));
    };
    shared.finish("publish");
    report(&features, processes, (run_id, paths, rejects), begin)
}

/// What the run has to say. `paths` are the published partitions in ascending order of table.
fn report(
    features: &Features,
    processes: Vec<ProcessReport>,
    (run_id, paths, rejects): (String, Vec<PathBuf>, Option<PathBuf>),
    begin: Instant,
) -> Result<Report> {
    let shared = &features.shared;
    let graph = shared.graph.get()?;
    let finished = std::mem::take(&mut *lock(&features.finished));
    let mut names: Vec<&str> = finished.iter().map(|table| table.table.name.as_str()).collect();
    names.sort_unstable();
    let paths: BTreeMap<String, PathBuf> =
        names.into_iter().map(str::to_string).zip(paths).collect();
    let path = |table: &Finished| paths.get(&table.table.name).cloned().unwrap_or_default();
    let others = processes.iter().filter(|report| report.process != shared.topology.process);
    let warnings = lock(&shared.warnings).clone().into_iter();
    Ok(Report {
        job: shared.job.name.clone(),
        run_id,
        scan: lock(&shared.scan).clone(),
        pruned: shared.plan.pruned,
        rejects,
        left_nodes: graph.nodes(Side::Left) as u64,
        right_nodes: graph.nodes(Side::Right) as u64,
        edges: graph.edges() as u64,
        features: finished.iter().map(|table| feature_report(table, path(table))).collect(),
        stages: all_stages(shared, &processes),
        wall: begin.elapsed(),
        peak_memory_bytes: peak_memory_bytes(),
        example: lock(&features.example).clone(),
        warnings: warnings.chain(others.flat_map(|other| other.warnings.clone())).collect(),
        processes,
    })
}

/// The stages of all processes, in the order in which they began in this one: busy times of all
/// workers, bytes added up, and the wall time of this process.
fn all_stages(shared: &Shared, processes: &[ProcessReport]) -> Vec<StageTime> {
    let mut stages = shared.stage_times();
    for stage in &mut stages {
        let of = |report: &ProcessReport| {
            report.stages.iter().find(|other| other.stage == stage.stage).cloned()
        };
        let parts: Vec<Option<StageTime>> = processes.iter().map(of).collect();
        if parts.len() > 1 {
            let idle = vec![Duration::ZERO; shared.topology.threads];
            stage.sent_bytes = parts.iter().flatten().map(|part| part.sent_bytes).sum();
            stage.busy = parts
                .into_iter()
                .flat_map(|part| part.map_or_else(|| idle.clone(), |part| part.busy))
                .collect();
        }
    }
    stages
}

/// What this process did.
fn process_report(shared: &Shared, team: &Team) -> ProcessReport {
    let process = team.topology.process;
    let traffic = team.mesh().map(Mesh::traffic).unwrap_or_default();
    ProcessReport {
        process,
        host: team.mesh().map_or_else(String::new, |mesh| mesh.host(process).to_string()),
        stages: shared.stage_times(),
        peak_memory_bytes: peak_memory_bytes(),
        sent_bytes: traffic.iter().map(|peer| peer.data_sent + peer.control_sent).sum(),
        warnings: lock(&shared.warnings).clone(),
    }
}

/// Says so if filtering has left nothing.
fn warn_if_empty(shared: &Shared, graph: &Graph) {
    if graph.edges() > 0 {
        return;
    }
    let scan = lock(&shared.scan).clone();
    let ignored: u64 = scan.rows_ignored.values().sum();
    let rules = &shared.job.graph;
    let minima = format!(
        "; {} made events, of which left_degree_min = {} and right_degree_min = {} or removing \
         actions left nothing",
        scan.rows_admitted, rules.left_degree_min, rules.right_degree_min
    );
    shared.warn(format!(
        "no edge is left, so the tables are empty: of {} rows, {} are after as_of, {} before the \
         window, {} of actions that the job does not name, {} bad{}",
        scan.rows_read,
        scan.rows_after_as_of,
        scan.rows_before_window,
        ignored,
        scan.rows_rejected,
        if scan.rows_admitted > 0 { minima.as_str() } else { "" },
    ));
}

fn manifest(job: &Job, run: &RunRecord, table: &Finished) -> Manifest {
    let plan = &job.features[table.feature];
    let feature = FeatureRecord {
        feature: plan.name.clone(),
        signal: plan.signal.clone(),
        parameters: plan.params.clone(),
        notes: table.notes.clone(),
    };
    Manifest::new(run, &feature, &table.table, table.files.clone())
}

fn feature_report(table: &Finished, path: PathBuf) -> FeatureReport {
    FeatureReport {
        table: table.table.name.clone(),
        path,
        rows: table.files.iter().map(|file| file.rows).sum(),
        files: table.files.len() as u64,
        bytes: table.files.iter().map(|file| file.bytes).sum(),
        notes: table.notes.clone(),
    }
}

/// Reads the key files of the job's features.
fn read_key_files(job: &Job, plan: &ScanPlan) -> Result<Vec<Vec<Keys>>> {
    let read = |file: &KeyFile| {
        let key_type = match file.side {
            Side::Left => plan.left_type,
            Side::Right => plan.right_type,
        };
        read_keys(&file.path, key_type)
    };
    job.features.iter().map(|plan| plan.feature.key_files().iter().map(read).collect()).collect()
}

/// The keys of a file with one key a line; empty lines do not count.
fn read_keys(path: &Path, key_type: KeyType) -> Result<Keys> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::input(format!("cannot read the keys: {error}")).path(path))?;
    let mut keys = Keys::new(key_type);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        match key_type {
            _ if line.is_empty() => {}
            KeyType::Utf8 => keys.push(KeyRef::Utf8(line)),
            KeyType::Int64 => {
                let key = line.parse().map_err(|_| {
                    Error::input(format!("{line:?} is not an int64, as the input's keys are"))
                        .path(path)
                        .line(index as u64 + 1)
                        .remedy("write one key a line")
                })?;
                keys.push(KeyRef::Int64(key));
            }
        }
    }
    Ok(keys)
}

/// Microseconds since 1970 by the clock.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_micros() as i64
}

/// Peak resident memory of this process in bytes, from Linux's `/proc`.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
