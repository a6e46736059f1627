//! Every job file of jobs/ on 1, 2, 3 and 4 workers.

use std::path::Path;

use pingraph::job::{Job, Overrides};

use crate::support::{assert_same, published, run};

#[test]
fn every_job_gives_the_same_bytes_on_1_to_4_workers() {
    let mut jobs = 0;
    for entry in std::fs::read_dir("jobs").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        jobs += 1;
        let first = publish(&path, 1);
        for workers in 2..=4 {
            let what = format!("{} on {workers} workers", path.display());
            assert_same(&what, &first, &publish(&path, workers));
        }
    }
    assert!(jobs >= 2);
}

fn publish(path: &Path, workers: usize) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    let set = vec![format!("sink.parquet.path={:?}", out.path())];
    let overrides = Overrides { set, ..Overrides::default() };
    let job = Job::from_file_with(path, &overrides).unwrap();
    let report = run(&job, workers);
    assert!(report.edges > 0 && report.features.iter().all(|feature| feature.rows > 0));
    published(out.path())
}
