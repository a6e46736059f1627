//! Damaged files give errors: no panic, and no loss without a word.

use std::path::Path;

use arrow_array::{Float64Array, StringArray, TimestampMicrosecondArray};
use tempfile::tempdir;

use crate::harness::*;

const ROWS: i64 = 300;

fn write_sample(path: &Path) {
    let mut columns = keys(ROWS);
    let times = (1..=ROWS).map(|row| AS_OF_US - row);
    let actions =
        (0..ROWS).map(|row| (row % 7 != 0).then_some(if row % 2 == 0 { "save" } else { "hide" }));
    let weights = (0..ROWS).map(|row| row as f64);
    columns.push(("time", array(TimestampMicrosecondArray::from_iter_values(times))));
    columns.push(("action", array(StringArray::from_iter(actions))));
    columns.push(("weight", array(Float64Array::from_iter_values(weights))));
    write_parquet(path, columns, 100);
}

/// Removing first spares the flush that ext4 does when a file is truncated and written anew.
fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn parquet_cut_anywhere_is_an_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_sample(&path);
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(97) {
        replace(&path, &bytes[..length]);
        let line = error_line(scan_parquet(&path, &with_all()), folder.path());
        assert!(line.starts_with("a.parquet: no readable Parquet file: "), "{line}");
        assert!(line.ends_with("; it is truncated, damaged or of another format: write it again"));
    }
}

#[test]
fn parquet_with_any_byte_changed_never_panics() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_sample(&path);
    let bytes = std::fs::read(&path).unwrap();
    let mut failures = 0;
    for place in (0..bytes.len()).step_by(7) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= flip;
            replace(&path, &damaged);
            // Parquet has no checksum here: a changed value that still decodes is read as it is.
            if let Err(error) = scan_parquet(&path, &with_all()) {
                assert_eq!(error.kind, pingraph::ErrorKind::Input);
                assert_eq!(error.site.path.as_deref(), Some(&*path));
                failures += 1;
            }
        }
    }
    assert!(failures > 100, "{failures}");
}

#[test]
fn an_error_while_decoding_names_file_row_and_column() {
    use parquet::file::metadata::ParquetMetaDataReader;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_sample(&path);
    let file = std::fs::File::open(&path).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let (start, length) = metadata.row_group(1).column(4).byte_range();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let line = error_line(scan_parquet(&path, &with_all()), folder.path());
    assert!(
        line.starts_with("a.parquet, row 101, weight: the column cannot be decoded: "),
        "{line}"
    );
    assert!(line.ends_with("; the file is damaged: write it again"), "{line}");
}

#[test]
fn compressed_text_cut_short_is_an_error() {
    let folder = tempdir().unwrap();
    let lines: String = (0..20_000).map(|row| format!("{row},{}\n", row * 7919 % 10_007)).collect();
    for extension in ["gz", "zst"] {
        let path = folder.path().join(format!("a.csv.{extension}"));
        write_text(&path, format!("user_id,pin_id\n{lines}"));
        let bytes = std::fs::read(&path).unwrap();
        for tenth in 1..10 {
            replace(&path, &bytes[..bytes.len() * tenth / 10]);
            let line = error_line(scan_csv(&path, &request()), folder.path());
            assert!(line.starts_with(&format!("a.csv.{extension}, line ")), "{line}");
            let end = ": the compressed file is truncated; write or copy it again";
            assert!(line.ends_with(end), "{line}");
        }
        std::fs::write(&path, "not compressed at all").unwrap();
        let line = error_line(scan_csv(&path, &request()), folder.path());
        let start = format!("a.csv.{extension}, line 1: the compressed file is damaged: ");
        assert!(line.starts_with(&start), "{line}");
    }
}
