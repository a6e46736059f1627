//! W2: personalized PageRank of some seeds, the top 100 unseen right nodes of each.

use std::path::Path;
use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::signals::{Registry, Scratch, Step};

use super::{Clock, Outcome, dump, peak_mb};

/// Runs the signal with `params` (TOML lines) on one thread, for the first `count` seeds in the file
/// `seeds` (little-endian `int64`, dense ids). Prints CPU seconds of start and calibration, which a
/// job pays once, apart from those of the rows.
pub fn w2(graph: Arc<Graph>, seeds: &Path, count: usize, out: &Path, params: &str) -> Outcome<()> {
    let bytes = std::fs::read(seeds)?;
    let (words, _) = bytes.as_chunks::<8>();
    let wanted: Vec<u32> =
        words.iter().take(count).map(|word| i64::from_le_bytes(*word) as u32).collect();
    let params: toml::Table = params.parse()?;
    let top_k = params.get("top_k").and_then(toml::Value::as_integer).unwrap_or(100);
    let registry = Registry::default();
    let feature = registry.find("personalized_pagerank")?.configure("w2", params)?;
    let mut scratch = Scratch::default();
    let clock = Clock::start();
    let mut step = feature.start(graph, &[]);
    let source = loop {
        match step {
            Step::Rows(source) => break source,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, &mut scratch)).collect();
                step = stage.next(parts);
            }
        }
    };
    let calibration = clock.cpu_ns() as f64 * 1e-9;
    let clock = Clock::start();
    let rows = source.rows(0, &wanted, &mut scratch);
    let kernel = clock.cpu_ns() as f64 * 1e-9;
    println!(
        "JSON {{\"peer\":\"pingraph-t1\",\"workload\":\"W2\",\"n_seeds\":{},\
         \"calibration_cpu\":{calibration:.3},\"kernel_cpu\":{kernel:.3},\
         \"cpu_ms_per_seed\":{:.3},\"rss_mb\":{}}}",
        wanted.len(),
        1e3 * kernel / wanted.len().max(1) as f64,
        peak_mb()?,
    );
    for (name, value) in source.notes() {
        println!("{name}: {value}");
    }
    dump(out, &[rows], top_k as usize)
}
