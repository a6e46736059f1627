//! Runs one kernel on a CSR file as the peers do and prints one JSON line: CPU and wall seconds of the
//! kernel apart from loading, and peak memory. Not a benchmark of its own: it stands beside a peer.
//!
//!     cargo bench --bench peers -- w1 CSR THREADS OUT
//!     cargo bench --bench peers -- w2 CSR SEEDS COUNT OUT
//!
//! CSR is `int64 left, right, edges; int64 offsets[left + 1]; int32 targets[edges]`, little-endian.
//! OUT gets `int64 rows, k; int32 ids[rows * k]` (padded with -1) `; float32 scores[rows * k]`.

// Its output is its purpose.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pingraph::graph::{Csr, Dictionary, Graph};
use pingraph::model::{Column, Keys, Rows, SideNames};
use pingraph::signals::{Feature, Registry, Scratch, Step, split_by_work};

mod w2;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Blocks of rows, as the engine would cut them.
const BLOCKS: usize = 256;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["w1", csr, threads, out, params @ ..] => {
            w1(Path::new(csr), threads.parse()?, Path::new(out), &params.join("\n"))
        }
        ["w2", csr, seeds, count, out, params @ ..] => w2::w2(
            Arc::new(load(Path::new(csr))?),
            Path::new(seeds),
            count.parse()?,
            Path::new(out),
            &params.join("\n"),
        ),
        // `cargo test --benches` and `cargo bench` run every target without arguments of ours.
        _ => {
            println!("usage: cargo bench --bench peers -- w1 CSR THREADS OUT [KEY=VALUE ...]");
            println!("       cargo bench --bench peers -- w2 CSR SEEDS COUNT OUT [KEY=VALUE ...]");
            Ok(())
        }
    }
}

/// Co-engagement: the top 50 by cosine for every right node, or as `params` (TOML lines) say.
fn w1(csr: &Path, threads: usize, out: &Path, params: &str) -> Outcome<()> {
    let begin = Instant::now();
    let graph = Arc::new(load(csr)?);
    let loaded = begin.elapsed().as_secs_f64();
    let top_k = params.parse::<toml::Table>()?.get("top_k").and_then(toml::Value::as_integer);
    let registry = Registry::default();
    let feature = registry.find("co_engagement")?.configure("w1", params.parse()?)?;
    let clock = Clock::start();
    let (rows, cpu) = compute(&*feature, Arc::clone(&graph), threads);
    let wall = clock.began.elapsed().as_secs_f64();
    let wedges: u64 = (0..graph.forward.nodes() as u32)
        .map(|left| graph.forward.degree(left) as u64)
        .map(|degree| degree * degree)
        .sum();
    println!(
        "JSON {{\"peer\":\"pingraph-t{threads}\",\"workload\":\"W1\",\"load_s\":{loaded:.4},\
         \"kernel_wall\":{wall:.4},\"kernel_cpu\":{cpu:.4},\"rss_mb\":{},\"wedges\":{wedges},\
         \"ns_per_wedge_cpu\":{:.3}}}",
        peak_mb()?,
        cpu * 1e9 / wedges as f64,
    );
    dump(out, &rows, top_k.unwrap_or(50) as usize)
}

/// Runs `feature` on `threads` threads: its rows in blocks, and the CPU seconds of all threads.
fn compute(feature: &dyn Feature, graph: Arc<Graph>, threads: usize) -> (Vec<Rows>, f64) {
    let clock = Clock::start();
    let right_nodes = graph.backward.nodes();
    let spent = AtomicU64::new(0);
    let mut step = feature.start(graph, &[]);
    let source = loop {
        match step {
            Step::Rows(source) => break source,
            Step::Round(stage) => {
                let parts = parallel(threads, stage.tasks(), &spent, |task, scratch| {
                    stage.run(task, scratch)
                });
                step = stage.next(parts);
            }
        }
    };
    let blocks = split_by_work(right_nodes, BLOCKS, |node| source.work(0, node as u32));
    let rows = parallel(threads, blocks.len(), &spent, |task, scratch| {
        let nodes: Vec<u32> = blocks[task].clone().map(|node| node as u32).collect();
        source.rows(0, &nodes, scratch)
    });
    let mut cpu = clock.cpu_ns();
    if threads > 1 {
        cpu += spent.into_inner();
    }
    (rows, cpu as f64 * 1e-9)
}

/// Runs tasks on `threads` threads, in this one if there is but one; adds the threads' CPU
/// nanoseconds to `spent`. The results are in task order.
fn parallel<T: Send>(
    threads: usize,
    tasks: usize,
    spent: &AtomicU64,
    run: impl Fn(usize, &mut Scratch) -> T + Sync,
) -> Vec<T> {
    if threads == 1 {
        let mut scratch = Scratch::default();
        return (0..tasks).map(|task| run(task, &mut scratch)).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tasks));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let clock = Clock::start();
                let mut scratch = Scratch::default();
                loop {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    if task >= tasks {
                        break;
                    }
                    let result = run(task, &mut scratch);
                    done.lock().unwrap().push((task, result));
                }
                spent.fetch_add(clock.cpu_ns(), Ordering::Relaxed);
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|&(task, _)| task);
    done.into_iter().map(|(_, result)| result).collect()
}

/// CPU and wall time since a moment, of the calling thread.
struct Clock {
    began: Instant,
    cpu_ns: u64,
}

impl Clock {
    fn start() -> Clock {
        Clock { began: Instant::now(), cpu_ns: Clock::now() }
    }

    fn now() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    }

    fn cpu_ns(&self) -> u64 {
        Clock::now() - self.cpu_ns
    }
}

/// Peak resident memory of the process in megabytes.
fn peak_mb() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next());
    Ok(kilobytes.unwrap_or("0").parse::<u64>()? / 1024)
}

/// The graph of a CSR file; keys are the dense ids.
fn load(path: &Path) -> Outcome<Graph> {
    let mut file = File::open(path)?;
    let mut header = [0i64; 3];
    file.read_exact(bytemuck::cast_slice_mut(&mut header))?;
    let [left, right, edges] = header.map(|number| number as usize);
    let mut offsets = vec![0u64; left + 1];
    file.read_exact(bytemuck::cast_slice_mut(&mut offsets))?;
    let mut targets = vec![0u32; edges];
    file.read_exact(bytemuck::cast_slice_mut(&mut targets))?;
    let forward = Csr { offsets, targets, weights: Vec::new() };
    let backward = forward.transpose(right);
    let keys = |count: usize| Dictionary::from_sorted(Keys::Int64((0..count as i64).collect()));
    Ok(Graph {
        names: SideNames { left: "user".into(), right: "pin".into() },
        left: keys(left),
        right: keys(right),
        forward,
        backward,
        events: None,
    })
}

/// Writes rows of node lists and scores, padded to `k`.
fn dump(path: &Path, rows: &[Rows], k: usize) -> Outcome<()> {
    let (mut ids, mut scores) = (Vec::new(), Vec::new());
    let mut count = 0i64;
    for block in rows {
        let [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }] =
            block.columns.as_slice()
        else {
            return Err("not a table of node lists and scores".into());
        };
        for ends in offsets.windows(2) {
            let (begin, end) = (ends[0] as usize, ends[1] as usize);
            let padding = k - (end - begin);
            ids.extend(nodes[begin..end].iter().map(|&id| id as i32));
            ids.extend(std::iter::repeat_n(-1, padding));
            scores.extend_from_slice(&values[begin..end]);
            scores.extend(std::iter::repeat_n(0.0, padding));
            count += 1;
        }
    }
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(bytemuck::cast_slice(&[count, k as i64]))?;
    file.write_all(bytemuck::cast_slice(&ids))?;
    file.write_all(bytemuck::cast_slice(&scores))?;
    Ok(file.flush()?)
}
