//! Writes input files and scans them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use pingraph::model::{
    ActionRule, AgeAction, Columns, EventBatch, FIXED_ONE, Reject, Result, ScanRequest, ScanStats,
    parse_timestamp,
};
use pingraph::source::{
    CsvOptions, CsvSource, EventSink, JsonlSource, ParquetSource, ScanPlan, Source,
};

/// 2026-11-01T00:00:00Z.
pub const AS_OF_US: i64 = 1_793_491_200_000_000;

pub const DAY_US: i64 = 86_400_000_000;

/// An event as text: left and right key, age, action, weight.
pub type Event = (String, String, Option<u64>, Option<u8>, Option<i64>);

/// Everything that a scan gave.
#[derive(Debug)]
pub struct Scan {
    pub plan: ScanPlan,
    pub events: Vec<Event>,
    pub rejects: Vec<Reject>,
    pub stats: ScanStats,
}

impl Scan {
    /// The events in ascending order.
    pub fn sorted(mut self) -> Vec<Event> {
        self.events.sort();
        self.events
    }

    /// Position, column, reason and value of the rejects.
    pub fn rejected(&self) -> Vec<(u64, &str, &str, &str)> {
        self.rejects.iter().map(|r| (r.position, &*r.column, &*r.reason, &*r.value)).collect()
    }
}

/// Keys only.
pub fn request() -> ScanRequest {
    assert_eq!(parse_timestamp("2026-11-01"), Some(AS_OF_US));
    ScanRequest {
        columns: Columns {
            left: "user_id".to_owned(),
            right: "pin_id".to_owned(),
            action: None,
            time: None,
            time_unit: None,
            weight: None,
            left_type: None,
            right_type: None,
        },
        as_of_us: AS_OF_US,
        window_us: None,
        actions: Vec::new(),
        keep_age_action: true,
    }
}

pub fn with_time() -> ScanRequest {
    let mut request = request();
    request.columns.time = Some("time".to_owned());
    request
}

/// All columns; a 90-day window; the actions `hide` and `save`.
pub fn with_all() -> ScanRequest {
    let mut request = with_time();
    request.columns.action = Some("action".to_owned());
    request.columns.weight = Some("weight".to_owned());
    request.window_us = Some(90 * DAY_US);
    request.actions = vec![
        ("hide".to_owned(), ActionRule::Remove),
        ("save".to_owned(), ActionRule::Weight(FIXED_ONE)),
    ];
    request
}

struct Collect {
    events: Vec<Event>,
    rejects: Vec<Reject>,
    rows: u64,
}

impl EventSink for Collect {
    fn events(&mut self, batch: EventBatch) {
        assert!(!batch.is_empty() && batch.len() <= 65_536);
        assert_eq!(batch.left.len(), batch.right.len());
        for column in [batch.age_action.len(), batch.weight.len()] {
            assert!(column == 0 || column == batch.len());
        }
        for row in 0..batch.len() {
            let word = batch.age_action.get(row).map(|&word| AgeAction(word));
            self.events.push((
                batch.left.get(row).to_string(),
                batch.right.get(row).to_string(),
                word.map(AgeAction::age_us),
                word.map(AgeAction::action),
                batch.weight.get(row).copied(),
            ));
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }

    fn advance(&mut self, rows: u64) -> bool {
        self.rows += rows;
        true
    }
}

/// Plans and reads all splits, and checks what must hold of every scan.
pub fn scan(source: &dyn Source, request: &ScanRequest) -> Result<Scan> {
    let plan = source.plan(request)?;
    let mut sink = Collect { events: Vec::new(), rejects: Vec::new(), rows: 0 };
    let mut stats = ScanStats::default();
    for split in 0..plan.splits.len() {
        let part = source.read(request, &plan, split, &mut sink)?;
        if let Some(rows) = plan.splits[split].rows {
            assert_eq!(part.rows_read, rows);
        }
        stats.add(&part);
    }
    let ignored: u64 = stats.rows_ignored.values().sum();
    let outcomes = [
        stats.rows_admitted,
        stats.rows_rejected,
        stats.rows_after_as_of,
        stats.rows_before_window,
        ignored,
    ];
    assert_eq!(stats.rows_read, outcomes.iter().sum::<u64>(), "{stats:?}");
    assert_eq!(stats.rows_read, sink.rows);
    assert_eq!(stats.rows_admitted, sink.events.len() as u64);
    assert_eq!(stats.rows_rejected, sink.rejects.len() as u64);
    if request.columns.action.is_some() {
        assert_eq!(stats.rows_admitted, stats.rows_by_action.values().sum::<u64>());
    }
    Ok(Scan { plan, events: sink.events, rejects: sink.rejects, stats })
}

pub fn scan_parquet(path: &Path, request: &ScanRequest) -> Result<Scan> {
    scan(&ParquetSource::new(path.to_str().unwrap()), request)
}

pub fn scan_csv(path: &Path, request: &ScanRequest) -> Result<Scan> {
    scan(&CsvSource::new(path.to_str().unwrap(), CsvOptions::default()), request)
}

pub fn scan_jsonl(path: &Path, request: &ScanRequest) -> Result<Scan> {
    scan(&JsonlSource::new(path.to_str().unwrap()), request)
}

/// The one line that a failing scan says, without the folder.
pub fn error_line(outcome: Result<Scan>, folder: &Path) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind, pingraph::ErrorKind::Input);
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    line.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), "F")
}

/// Writes a Parquet file with row groups of `group_rows` rows.
pub fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, group_rows: usize) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    write_batch(path, &batch, group_rows);
}

pub fn write_batch(path: &Path, batch: &RecordBatch, group_rows: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Writes text, compressed if the name ends in `.gz` or `.zst`.
pub fn write_text(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            writer.write_all(text.as_ref()).unwrap();
            writer.finish().unwrap();
        }
        Some("zst") => {
            let mut writer = zstd::stream::write::Encoder::new(file, 1).unwrap();
            writer.write_all(text.as_ref()).unwrap();
            writer.finish().unwrap();
        }
        _ => (&file).write_all(text.as_ref()).unwrap(),
    }
}

/// A column of a Parquet file.
pub fn array(values: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(values)
}

/// Two columns of int64 keys: users `0..rows`, pins ten times that.
pub fn keys(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    let left = arrow_array::Int64Array::from_iter_values(0..rows);
    let right = arrow_array::Int64Array::from_iter_values((0..rows).map(|row| row * 10));
    vec![("user_id", array(left)), ("pin_id", array(right))]
}
