//! What the runs share: the CSR file, threads, clocks and the output file.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pingraph::graph::{Csr, Dictionary, Graph};
use pingraph::model::{Column, Keys, Rows, SideNames};
use pingraph::signals::{Feature, RowSource, Scratch, Step, split_by_work};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Blocks of rows, as the engine would cut them.
const BLOCKS: usize = 256;
/// Rows of a block at least, on average.
const ROWS_A_BLOCK: usize = 64;

/// The rounds of `feature` on `threads` threads; the CPU seconds of all threads.
pub fn rounds(
    feature: &dyn Feature,
    graph: Arc<Graph>,
    threads: usize,
) -> (Arc<dyn RowSource>, f64) {
    let (clock, spent) = (Clock::start(), AtomicU64::new(0));
    let mut step = feature.start(graph, &[]);
    loop {
        match step {
            Step::Rows(source) => return (source, clock.seconds(&spent, threads)),
            Step::Round(stage) => {
                let parts = parallel(threads, stage.tasks(), &spent, |task, scratch| {
                    stage.run(task, scratch)
                });
                step = stage.next(parts);
            }
        }
    }
}

/// The rows of `nodes` in blocks on `threads` threads, each written to `output` and dropped as soon as it is done, as
/// in a job; the CPU seconds of all threads without the writing.
pub fn rows(
    source: &dyn RowSource,
    nodes: &[u32],
    threads: usize,
    output: &Output,
) -> Outcome<f64> {
    let (clock, spent) = (Clock::start(), AtomicU64::new(0));
    let pieces = BLOCKS.min(nodes.len() / ROWS_A_BLOCK);
    let blocks = split_by_work(nodes.len(), pieces, |index| source.work(0, nodes[index]));
    let writing = parallel(threads, blocks.len(), &spent, |task, scratch| {
        let rows = source.rows(0, &nodes[blocks[task].clone()], scratch);
        let clock = Clock::start();
        output.write(blocks[task].start, &rows).unwrap();
        drop(rows);
        clock.cpu_ns()
    });
    Ok(clock.seconds(&spent, threads) - writing.iter().sum::<u64>() as f64 * 1e-9)
}

/// The rows of `nodes` in blocks of `width`, in this thread; the CPU seconds of each block.
pub fn timed_rows(source: &dyn RowSource, nodes: &[u32], width: usize) -> (Vec<Rows>, Vec<f64>) {
    let mut scratch = Scratch::default();
    let timed = nodes.chunks(width).map(|nodes| {
        let clock = Clock::start();
        let rows = source.rows(0, nodes, &mut scratch);
        (rows, clock.cpu_ns() as f64 * 1e-9)
    });
    timed.unzip()
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
pub struct Clock {
    pub began: Instant,
    cpu_ns: u64,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { began: Instant::now(), cpu_ns: Clock::now() }
    }

    fn now() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    }

    /// CPU nanoseconds of this thread since the start.
    pub fn cpu_ns(&self) -> u64 {
        Clock::now() - self.cpu_ns
    }

    /// CPU seconds since the start: this thread's, and those `spent` by others.
    fn seconds(&self, spent: &AtomicU64, threads: usize) -> f64 {
        let others = if threads > 1 { spent.load(Ordering::Relaxed) } else { 0 };
        (self.cpu_ns() + others) as f64 * 1e-9
    }
}

/// Peak resident memory of the process in megabytes.
pub fn peak_mb() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next());
    Ok(kilobytes.unwrap_or("0").parse::<u64>()? / 1024)
}

/// The graph of a CSR file; keys are the dense ids.
pub fn load(path: &Path) -> Outcome<Graph> {
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

/// A file of node lists and scores, padded to `k` a row; every row has its place.
pub struct Output {
    file: File,
    rows: usize,
    k: usize,
}

impl Output {
    pub fn create(path: &Path, rows: usize, k: usize) -> Outcome<Output> {
        let file = File::create(path)?;
        file.write_all_at(bytemuck::cast_slice(&[rows as i64, k as i64]), 0)?;
        Ok(Output { file, rows, k })
    }

    /// Writes a block whose first row is the `first` of all.
    pub fn write(&self, first: usize, block: &Rows) -> Outcome<()> {
        let [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }] =
            block.columns.as_slice()
        else {
            return Err("not a table of node lists and scores".into());
        };
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        for ends in offsets.windows(2) {
            let (begin, end) = (ends[0] as usize, ends[1] as usize);
            let padding = self.k - (end - begin);
            ids.extend(nodes[begin..end].iter().map(|&id| id as i32));
            ids.extend(std::iter::repeat_n(-1, padding));
            scores.extend_from_slice(&values[begin..end]);
            scores.extend(std::iter::repeat_n(0.0, padding));
        }
        let place = |row: usize| (16 + 4 * self.k * row) as u64;
        self.file.write_all_at(bytemuck::cast_slice::<i32, u8>(&ids), place(first))?;
        self.file
            .write_all_at(bytemuck::cast_slice::<f32, u8>(&scores), place(self.rows + first))?;
        Ok(())
    }
}

/// Writes all of `blocks`.
pub fn dump(path: &Path, blocks: &[Rows], k: usize) -> Outcome<()> {
    let output = Output::create(path, blocks.iter().map(|block| block.nodes.len()).sum(), k)?;
    let mut first = 0;
    for block in blocks {
        output.write(first, block)?;
        first += block.nodes.len();
    }
    Ok(())
}
