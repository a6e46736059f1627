//! Every job file of jobs/ on one process of 1 to 4 workers and on several processes.

use std::path::Path;

use pingraph::job::{Job, Overrides};

use crate::support::{TOPOLOGIES, Topology, assert_same, published, run};

#[test]
fn every_job_gives_the_same_bytes_on_every_topology() {
    let mut jobs = 0;
    for entry in std::fs::read_dir("jobs").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        jobs += 1;
        let first = publish(&path, (1, 1));
        for topology in &TOPOLOGIES[1..] {
            let what = format!("{} on {topology:?}", path.display());
            assert_same(&what, &first, &publish(&path, *topology));
        }
    }
    assert!(jobs >= 2);
}

fn publish(
    path: &Path,
    topology: Topology,
) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    let set = vec![format!("sink.parquet.path={:?}", out.path())];
    let overrides = Overrides { set, ..Overrides::default() };
    let job = Job::from_file_with(path, &overrides).unwrap();
    let report = run(&job, topology);
    assert!(report.edges > 0 && report.features.iter().all(|feature| feature.rows > 0));
    published(out.path())
}
