//! The manifest of a published table: what it is, what it was made from, what it holds.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::files::{sync_folder, write_file};
use super::parquet::PartFile;
use crate::model::{Error, Result, Table, format_timestamp};

/// Version of the manifest's own layout.
pub const MANIFEST_SCHEMA_VERSION: u32 = 1;

/// Version of this crate.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Name of the manifest in its partition.
pub const MANIFEST_FILE: &str = "_manifest.json";

/// Name of the file that says that a partition is whole. It holds [`Manifest`]'s XXH3 (64 bits).
pub const SUCCESS_FILE: &str = "_SUCCESS";

/// What `_manifest.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// [`run_id`] of the run that published it.
    pub run_id: String,
    /// Name of the job.
    pub job: String,
    /// Name of the feature in the job file.
    pub feature: String,
    /// Name of the table's folder.
    pub table: String,
    /// Name of the signal.
    pub signal: String,
    /// The signal's parameters, as given.
    pub parameters: String,
    /// ISO 8601; no event at or after it was seen. Equals `event_timestamp` of all rows.
    pub as_of: String,
    /// ISO 8601; wall clock of the run. Equals `created_timestamp` of all rows.
    pub created: String,
    /// [`ENGINE_VERSION`].
    pub engine_version: String,
    /// XXH3 (128 bits, hex) of the job's canonical text.
    pub job_hash: String,
    /// Rows of all files.
    pub rows: u64,
    /// The input.
    pub inputs: Vec<InputRecord>,
    /// The part files, by name.
    pub files: Vec<FileRecord>,
    /// The columns, in order, with statistics over all files.
    pub columns: Vec<ColumnRecord>,
    /// Figures about the computation.
    pub notes: BTreeMap<String, String>,
}

/// An input file, identified by what its folder says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Path, as the source found it.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Modification time, ISO 8601.
    pub modified: String,
}

/// A part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name in the partition.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// XXH3 (64 bits) of the bytes, 16 hex digits, as `xxhsum -H3` prints it.
    pub xxh3: String,
}

/// A column and its statistics. Those of a list column are over the values in the lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Name.
    pub name: String,
    /// Arrow type, for example `list<item: float>`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is, its unit and range.
    pub doc: String,
    /// Rows without a value.
    pub nulls: u64,
    /// Values that are not a number; the figures below are without them.
    pub nans: u64,
    /// Smallest value.
    pub min: Option<Scalar>,
    /// Largest value.
    pub max: Option<Scalar>,
    /// Mean; none for keys and times.
    pub mean: Option<f64>,
    /// Quantiles; none for keys and times.
    pub quantiles: Option<Quantiles>,
    /// Number of distinct values.
    pub distinct: Option<Distinct>,
    /// Lengths of the lists, for a list column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
}

/// A value in the manifest: there it is the bare value. Between processes, in a format that does not
/// tell its own types, the kind goes before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// An integer, or an integer key.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text key, or an ISO 8601 time.
    Text(String),
}

/// [`Scalar`] as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bare {
    Int(i64),
    Float(f64),
    Text(String),
}

/// [`Scalar`] with its kind.
#[derive(Serialize, Deserialize)]
enum Tagged {
    Int(i64),
    Float(f64),
    Text(String),
}

impl Serialize for Scalar {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match (to.is_human_readable(), self.clone()) {
            (true, Scalar::Int(value)) => Bare::Int(value).serialize(to),
            (true, Scalar::Float(value)) => Bare::Float(value).serialize(to),
            (true, Scalar::Text(value)) => Bare::Text(value).serialize(to),
            (false, Scalar::Int(value)) => Tagged::Int(value).serialize(to),
            (false, Scalar::Float(value)) => Tagged::Float(value).serialize(to),
            (false, Scalar::Text(value)) => Tagged::Text(value).serialize(to),
        }
    }
}

impl<'a> Deserialize<'a> for Scalar {
    fn deserialize<D: serde::Deserializer<'a>>(from: D) -> std::result::Result<Self, D::Error> {
        if from.is_human_readable() {
            return Ok(match Bare::deserialize(from)? {
                Bare::Int(value) => Scalar::Int(value),
                Bare::Float(value) => Scalar::Float(value),
                Bare::Text(value) => Scalar::Text(value),
            });
        }
        Ok(match Tagged::deserialize(from)? {
            Tagged::Int(value) => Scalar::Int(value),
            Tagged::Float(value) => Scalar::Float(value),
            Tagged::Text(value) => Scalar::Text(value),
        })
    }
}

/// Quantiles by rank, each cut to 8 bits towards zero: off by less than 0.8%, whole numbers up to
/// 256 exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say all: pNN is the value at NN percent")]
pub struct Quantiles {
    pub p01: f64,
    pub p05: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p95: f64,
    pub p99: f64,
}

/// A number of distinct values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    /// The number.
    pub count: u64,
    /// Whether it is exact; otherwise a HyperLogLog estimate with a standard error of 1.6%.
    pub exact: bool,
}

/// Lengths of a column's lists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Shortest.
    pub min: u64,
    /// Longest.
    pub max: u64,
    /// Mean.
    pub mean: f64,
    /// How many have no value.
    pub empty: u64,
}

/// What all manifests of a run share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// [`run_id`].
    pub run_id: String,
    /// Name of the job.
    pub job: String,
    /// The job's canonical text.
    pub canonical: String,
    /// Microseconds since 1970.
    pub as_of_us: i64,
    /// Wall clock of the run, microseconds since 1970.
    pub created_us: i64,
    /// The input.
    pub inputs: Vec<InputRecord>,
}

/// What all tables of a feature share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRecord {
    /// Name in the job file.
    pub feature: String,
    /// Name of the signal.
    pub signal: String,
    /// Its parameters, as given.
    pub parameters: String,
    /// Figures about the computation.
    pub notes: Vec<(String, String)>,
}

impl InputRecord {
    /// Of the file `path`; `modified_us` is in microseconds since 1970.
    pub fn new(path: impl Into<String>, bytes: u64, modified_us: i64) -> InputRecord {
        InputRecord { path: path.into(), bytes, modified: format_timestamp(modified_us) }
    }
}

impl Manifest {
    /// The manifest of `table` with the part files `parts`, in any order.
    pub fn new(
        run: &RunRecord,
        feature: &FeatureRecord,
        table: &Table,
        mut parts: Vec<PartFile>,
    ) -> Manifest {
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        let mut columns = parts.first().map(|part| part.columns.clone()).unwrap_or_default();
        for part in parts.iter().skip(1) {
            for (column, next) in columns.iter_mut().zip(&part.columns) {
                column.merge(next);
            }
        }
        let docs = super::schema::column_docs(table);
        let columns = columns.iter().zip(&docs).map(|(column, doc)| column.record(doc)).collect();
        Manifest {
            schema_version: MANIFEST_SCHEMA_VERSION,
            run_id: run.run_id.clone(),
            job: run.job.clone(),
            feature: feature.feature.clone(),
            table: table.name.clone(),
            signal: feature.signal.clone(),
            parameters: feature.parameters.clone(),
            as_of: format_timestamp(run.as_of_us),
            created: format_timestamp(run.created_us),
            engine_version: ENGINE_VERSION.to_string(),
            job_hash: format!("{:032x}", xxh3_128(run.canonical.as_bytes())),
            rows: parts.iter().map(|part| part.rows).sum(),
            inputs: run.inputs.clone(),
            files: parts.into_iter().map(PartFile::into_record).collect(),
            columns,
            notes: feature.notes.iter().cloned().collect(),
        }
    }

    /// Writes the manifest and `_SUCCESS` into `folder`, durably, and gives the hash that
    /// `_SUCCESS` holds.
    pub(super) fn write(&self, folder: &Path) -> Result<String> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::engine(format!("the manifest cannot be written: {e}")))?;
        json.push(b'\n');
        let hash = format!("{:016x}", xxh3_64(&json));
        write_file(&folder.join(MANIFEST_FILE), &json)?;
        write_file(&folder.join(SUCCESS_FILE), format!("{hash}\n").as_bytes())?;
        sync_folder(folder)?;
        Ok(hash)
    }
}

/// The id of a run: XXH3 (128 bits, hex) of the job, the point in time and the input, each file by
/// path, bytes and modification time (microseconds since 1970). A rerun of the same job on the
/// same input has the same id.
pub fn run_id(canonical: &str, inputs: &[(String, u64, i64)], as_of_us: i64) -> String {
    let mut hash = Xxh3::new();
    // Each text goes with its length, so that no two lists of texts read the same.
    let mut text = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    text(canonical);
    for (path, bytes, modified_us) in inputs {
        text(path);
        text(&bytes.to_string());
        text(&modified_us.to_string());
    }
    hash.update(&as_of_us.to_le_bytes());
    format!("{:032x}", hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_changes_with_each_of_its_parts_and_nothing_else() {
        let file = |path: &str, bytes, modified| (path.to_string(), bytes, modified);
        let base = run_id("job", &[file("a", 1, 2)], 3);
        assert_eq!(base, run_id("job", &[file("a", 1, 2)], 3));
        assert_eq!(base.len(), 32);
        let others = [
            run_id("jobs", &[file("a", 1, 2)], 3),
            run_id("job", &[file("b", 1, 2)], 3),
            run_id("job", &[file("a", 2, 2)], 3),
            run_id("job", &[file("a", 1, 3)], 3),
            run_id("job", &[file("a", 1, 2)], 4),
            run_id("job", &[], 3),
            run_id("job", &[file("a", 1, 2), file("a", 1, 2)], 3),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(&base, other);
            assert!(!others[..index].contains(other));
        }
    }

    #[test]
    fn scalars_survive_json() {
        for scalar in [Scalar::Int(i64::MIN), Scalar::Float(1.0), Scalar::Text("1".into())] {
            let json = serde_json::to_string(&scalar).unwrap();
            assert_eq!(serde_json::from_str::<Scalar>(&json).unwrap(), scalar);
        }
    }
}
