use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::pingraph;

fn dataset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets").join(name)
}

/// Runs `pingraph generate datasets/specs/sample.toml --out OUT` and further arguments.
fn generate(out: &Path, more: &[&str]) -> Result<String, (i32, String)> {
    let out = out.to_str().unwrap();
    pingraph(&[&["generate", "datasets/specs/sample.toml", "--out", out], more].concat())
}

/// Every file under `folder` with its bytes, by path from there.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for partition in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(partition.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
        }
    }
    files
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_committed_sample_is_what_its_spec_gives() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sample");
    generate(&out, &[]).unwrap();
    let (fresh, committed) = (contents(&out), contents(&dataset("sample")));
    assert_eq!(fresh.len(), 90);
    assert!(fresh.contains_key(Path::new("dt=2026-08-03/part-00000.parquet")));
    assert!(fresh.contains_key(Path::new("dt=2026-10-31/part-00000.parquet")));
    assert!(
        fresh == committed,
        "datasets/sample is out of date; run pingraph generate datasets/specs/sample.toml \
         --out datasets/sample --force"
    );
    assert!(committed.values().map(Vec::len).sum::<usize>() < 1_000_000);
}

#[test]
fn parquet_csv_and_json_lines_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = Vec::new();
    for format in ["parquet", "csv", "jsonl"] {
        let out = folder.path().join(format);
        generate(&out, &["--format", format, "--lefts", "40"]).unwrap();
        let mut rows = Vec::new();
        for (path, bytes) in contents(&out) {
            assert_eq!(path.extension().unwrap(), format);
            match format {
                "parquet" => rows.extend(parquet_rows(bytes)),
                "csv" => rows.extend(csv_rows(&bytes)),
                _ => rows.extend(jsonl_rows(&bytes)),
            }
        }
        tables.push(rows);
    }
    assert!(tables[0].len() > 400);
    assert!(tables.iter().all(|rows| *rows == tables[0]));
    let times: Vec<&str> = tables[0].iter().map(|row| row[3].as_str()).collect();
    assert!(times.is_sorted());
}

fn parquet_rows(bytes: Vec<u8>) -> Vec<[String; 4]> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMicrosecondType};
    let mut path = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut path, &bytes).unwrap();
    let file = path.reopen().unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1 << 20);
    let mut rows = Vec::new();
    for batch in reader.unwrap() {
        let batch = batch.unwrap();
        let key = |column: &str, row| {
            batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(row).to_string()
        };
        let actions = batch.column_by_name("action").unwrap().as_string::<i32>();
        let times = batch.column_by_name("event_time").unwrap();
        assert_eq!(times.data_type().to_string(), "Timestamp(µs, \"UTC\")");
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let time = pingraph::model::format_timestamp(times.value(row));
            rows.push([key("user_id", row), key("pin_id", row), actions.value(row).into(), time]);
        }
    }
    rows
}

fn csv_rows(bytes: &[u8]) -> Vec<[String; 4]> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().unwrap().clone();
    assert_eq!(header, vec!["user_id", "pin_id", "action", "event_time"]);
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn jsonl_rows(bytes: &[u8]) -> Vec<[String; 4]> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    lines
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let number = |name: &str| row[name].as_i64().unwrap().to_string();
            [number("user_id"), number("pin_id"), text("action"), text("event_time")]
        })
        .collect()
}

#[test]
fn a_folder_that_holds_something_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine.txt"), "keep me").unwrap();
    let (code, error) = generate(&out, &["--lefts", "5"]).unwrap_err();
    assert!(code == 5 && error.contains("--force"), "{code} {error}");
    assert_eq!(names(&out), ["mine.txt"]);
    let printed = generate(&out, &["--lefts", "5", "--force"]).unwrap();
    assert!(names(&out).iter().all(|name| name.starts_with("dt=")));
    assert_eq!(names(folder.path()), ["data"], "nothing is left beside it");
    let bytes: usize = contents(&out).values().map(Vec::len).sum();
    assert!(printed.contains(&format!("{} files, {bytes} bytes", names(&out).len())), "{printed}");
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for out in [file.clone(), file.join("below")] {
        let (code, error) = generate(&out, &["--lefts", "5"]).unwrap_err();
        assert_eq!(code, 5, "{error}");
    }
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn the_seed_and_the_number_of_users_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        generate(&out, &["--lefts", "20", "--seed", seed, "--format", "csv"]).unwrap();
        contents(&out).into_values().collect::<Vec<_>>().concat()
    };
    let (first, again, other) = (read("first", "1"), read("again", "1"), read("other", "2"));
    assert!(first == again && first != other);
}

#[test]
fn every_spec_of_the_folder_is_valid_and_as_large_as_it_says() {
    for name in names(&dataset("specs")) {
        let path = dataset("specs").join(&name);
        let spec = pingraph::source::SyntheticSpec::from_file(&path).unwrap();
        let expected = match name.split('_').next().unwrap() {
            "small" => 1e5,
            "medium" => 1e6,
            "large" => 1e7,
            _ => 4e4,
        };
        super::assert_near(spec.expected_events(), expected, 0.05);
    }
}
