//! W2: personalized PageRank of some seeds, the top 100 unseen right nodes of each.
//!
//! Runs the signal as the engine would, on one thread, and prints one JSON line: CPU seconds of
//! the calibration and of the rows apart.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pingraph::graph::{Csr, Dictionary, Graph};
use pingraph::model::{Column, Keys, SideNames};
use pingraph::signals::{Registry, Scratch, Step};

/// The graph in `path`: `int64 lefts, rights, edges; int64 offsets[lefts + 1]; int32 targets[edges]`.
pub fn read_csr(path: &Path) -> std::io::Result<Graph> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut word = [0u8; 8];
    let mut next = |input: &mut BufReader<File>| -> std::io::Result<u64> {
        input.read_exact(&mut word)?;
        Ok(u64::from_le_bytes(word))
    };
    let [lefts, rights, edges] = [next(&mut input)?, next(&mut input)?, next(&mut input)?];
    let mut offsets = Vec::with_capacity(lefts as usize + 1);
    for _ in 0..=lefts {
        offsets.push(next(&mut input)?);
    }
    let mut targets = vec![0u32; edges as usize];
    input.read_exact(bytemuck::cast_slice_mut(&mut targets))?;
    let forward = Csr { offsets, targets, weights: Vec::new() };
    let backward = forward.transpose(rights as usize);
    let keys = |count: u64| Dictionary::from_sorted(Keys::Int64((0..count as i64).collect()));
    Ok(Graph {
        names: SideNames { left: "user".into(), right: "pin".into() },
        left: keys(lefts),
        right: keys(rights),
        forward,
        backward,
        events: None,
    })
}

/// Seconds of this process' user and system time.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// Runs the signal with `params` (the body of its table in a job file) on the graph in `csr` for
/// the first `count` seeds of `seeds` (little-endian `int64`). Writes `out`, if given, as `floor`
/// does: `int64 count, k; int32 ids[count * k]; float32 scores[count * k]`.
pub fn w2(csr: &Path, seeds: &Path, count: usize, params: &str, out: Option<&Path>) {
    let graph = Arc::new(read_csr(csr).expect("a readable graph"));
    let bytes = fs::read(seeds).expect("a readable file of seeds");
    let (words, _) = bytes.as_chunks::<8>();
    let wanted: Vec<u32> =
        words.iter().take(count).map(|word| i64::from_le_bytes(*word) as u32).collect();
    let registry = Registry::default();
    let signal = registry.find("personalized_pagerank").expect("the signal");
    let feature =
        signal.configure("w2", params.parse().expect("a TOML table")).expect("valid parameters");
    let mut scratch = Scratch::default();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut step = feature.start(Arc::clone(&graph), &[]);
    let started = cpu_seconds() - cpu;
    let source = loop {
        match step {
            Step::Rows(source) => break source,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, &mut scratch)).collect();
                step = stage.next(parts);
            }
        }
    };
    let calibration = cpu_seconds() - cpu - started;
    let cpu = cpu_seconds();
    let rows = source.rows(0, &wanted, &mut scratch);
    let kernel = cpu_seconds() - cpu;
    println!(
        "JSON {{\"peer\":\"pingraph\",\"workload\":\"W2\",\"n_seeds\":{},\"start_cpu\":{started:.2},\
         \"calibration_cpu\":{calibration:.2},\"kernel_cpu\":{kernel:.2},\"cpu_ms_per_seed\":{:.3},\
         \"wall\":{:.2},\"notes\":{:?}}}",
        wanted.len(),
        1e3 * kernel / wanted.len().max(1) as f64,
        began.elapsed().as_secs_f64(),
        source.notes(),
    );
    if let Some(out) = out {
        let [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }] =
            rows.columns.as_slice()
        else {
            return;
        };
        let k = 100;
        let (mut ids, mut scores) = (vec![-1i32; k * wanted.len()], vec![0f32; k * wanted.len()]);
        for row in 0..wanted.len() {
            let (begin, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            for (index, at) in (begin..end).take(k).enumerate() {
                ids[row * k + index] = nodes[at] as i32;
                scores[row * k + index] = values[at];
            }
        }
        let mut bytes = Vec::new();
        bytes.extend((wanted.len() as i64).to_le_bytes());
        bytes.extend((k as i64).to_le_bytes());
        bytes.extend_from_slice(bytemuck::cast_slice(&ids));
        bytes.extend_from_slice(bytemuck::cast_slice(&scores));
        fs::write(out, bytes).expect("a writable output");
    }
}
