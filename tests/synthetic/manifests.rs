//! Every job snippet of datasets/manifests is a job: its keys and names are those that exist.

use std::path::Path;

use pingraph::job::Job;

#[test]
fn every_snippet_of_the_manifests_is_a_valid_job() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/manifests");
    let scratch = tempfile::tempdir().unwrap();
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut jobs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "README.md" {
            continue;
        }
        assert!(index.contains(&format!("({name})")), "{name} is not in the index");
        let text = std::fs::read_to_string(&path).unwrap();
        for part in ["* Home: http", "* Licence: ", "Size", "olumns"] {
            let size_in_table = part == "Size" && text.contains("| set |");
            assert!(text.contains(part) || size_in_table, "{name} does not say {part:?}");
        }
        let (_, snippet) = text.split_once("```toml\n").unwrap();
        let (snippet, _) = snippet.split_once("```").unwrap();
        let rest = "\n[features.popular.popularity]\n[sink.parquet]\npath = \"out/manifest\"\n";
        let job = scratch.path().join("job.toml");
        std::fs::write(&job, format!("{snippet}{rest}")).unwrap();
        if let Err(error) = Job::from_file(&job) {
            panic!("{name}: {error}");
        }
        jobs += 1;
    }
    assert_eq!(jobs, 10);
}
