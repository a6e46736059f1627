//! Tables to publish, and a reader that checks a partition as a careful consumer would.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingraph::graph::Dictionary;
use pingraph::model::{
    Column, ColumnType, Field, KeyRef, KeyType, Keys, Result, Rows, Side, SideNames, Table,
};
use pingraph::sink::{
    FeatureRecord, Manifest, Output, PartFile, PartWriter, RunRecord, WriteContext,
};
use xxhash_rust::xxh3::xxh3_64;

/// 2026-11-01T00:00:00Z.
pub const AS_OF_US: i64 = 1_793_491_200_000_000;

/// The partition of [`AS_OF_US`].
pub const PARTITION: &str = "dt=2026-11-01";

/// Id of the run in most tests.
pub const RUN_ID: &str = "0123456789abcdef0123456789abcdef";

/// A writer's context of `left` and `right` keys.
pub fn context(left: Keys, right: Keys, created_us: i64) -> WriteContext {
    WriteContext {
        names: SideNames { left: "user".into(), right: "pin".into() },
        left: Arc::new(Dictionary::from_sorted(left)),
        right: Arc::new(Dictionary::from_sorted(right)),
        as_of_us: AS_OF_US,
        created_us,
    }
}

/// `count` integer keys: 10, 20, 30, ...
pub fn int_keys(count: usize) -> Keys {
    Keys::Int64((1..=count as i64).map(|i| 10 * i).collect())
}

/// `count` text keys, not all of ASCII: clé-00000, clé-00001, ...
pub fn text_keys(count: usize) -> Keys {
    let mut keys = Keys::new(KeyType::Utf8);
    for i in 0..count {
        keys.push(KeyRef::Utf8(&format!("clé-{i:05}")));
    }
    keys
}

/// A field without a doc.
pub fn field(name: &str, column_type: ColumnType) -> Field {
    Field { name: name.into(), column_type, doc: format!("The {name}.") }
}

/// A table with a column of each type.
pub fn full_table(name: &str) -> Table {
    let fields = vec![
        field("related_pin_ids", ColumnType::NodeList(Side::Right)),
        field("related_pin_scores", ColumnType::Float32List),
        field("related_pin_counts", ColumnType::Int64List),
        field("top_user_ids", ColumnType::NodeList(Side::Left)),
        field("last_event_age_us", ColumnType::Int64),
        field("rank", ColumnType::Float64),
        field("share", ColumnType::Float32),
    ];
    Table { name: name.into(), side: Side::Right, fields }
}

/// Rows of [`full_table`] for `nodes`, of which there are `count` a side: lists of 0 to 6 values,
/// a null in every third row. `salt` changes the values.
pub fn full_rows(nodes: std::ops::Range<u32>, count: u32, salt: u32) -> Rows {
    let mut ends = vec![0u32];
    let (mut pins, mut users, mut scores, mut counts) = (vec![], vec![], vec![], vec![]);
    for node in nodes.clone() {
        for i in 0..(node + salt) % 7 {
            pins.push((node + i * 3 + salt) % count);
            users.push((node * 5 + i) % count);
            scores.push(1.0 / (1 + i + node % 13) as f32);
            counts.push(i64::from(i) - 2);
        }
        ends.push(pins.len() as u32);
    }
    let age = |node: u32| (!node.is_multiple_of(3)).then(|| i64::from(node) << 30);
    let columns = vec![
        Column::NodeList { offsets: ends.clone(), nodes: pins },
        Column::Float32List { offsets: ends.clone(), values: scores },
        Column::Int64List { offsets: ends.clone(), values: counts },
        Column::NodeList { offsets: ends, nodes: users },
        Column::Int64(nodes.clone().map(age).collect()),
        Column::Float64(nodes.clone().map(|node| 1.0 / (1.0 + f64::from(node))).collect()),
        Column::Float32(nodes.clone().map(|node| node as f32 / 7.0).collect()),
    ];
    Rows { nodes: nodes.collect(), columns }
}

/// Writes `blocks` into the file `path`.
pub fn write_part(
    path: &Path,
    table: &Table,
    context: &WriteContext,
    blocks: &[Rows],
) -> Result<PartFile> {
    let mut writer = PartWriter::create(path, table, context)?;
    for block in blocks {
        writer.write(block)?;
    }
    writer.finish()
}

/// The manifest of `parts`, with `generation` as a note.
pub fn manifest(table: &Table, parts: Vec<PartFile>, run_id: &str, generation: u32) -> Manifest {
    let run = RunRecord {
        run_id: run_id.into(),
        job: "related_pins".into(),
        canonical: "canonical text".into(),
        as_of_us: AS_OF_US,
        created_us: AS_OF_US + i64::from(generation),
        inputs: vec![],
    };
    let feature = FeatureRecord {
        feature: table.name.clone(),
        signal: "co_engagement".into(),
        parameters: "top_k = 6".into(),
        notes: vec![("generation".into(), generation.to_string())],
    };
    Manifest::new(&run, &feature, table, parts)
}

/// Stages `tables` with two parts each, whose rows `generation` changes.
pub fn stage(output: &Output, tables: &[&str], generation: u32) -> Result<Vec<Manifest>> {
    let count = 300;
    let created_us = AS_OF_US + i64::from(generation);
    let context = context(int_keys(count), int_keys(count), created_us);
    let mut manifests = Vec::new();
    for name in tables {
        let table = full_table(name);
        let mut parts = Vec::new();
        for part in 0..2u32 {
            let rows = full_rows(part * 150..(part + 1) * 150, count as u32, generation);
            let path = output.staging().part_path(name, part as usize)?;
            parts.push(write_part(&path, &table, &context, &[rows])?);
        }
        manifests.push(manifest(&table, parts, RUN_ID, generation));
    }
    Ok(manifests)
}

/// Opens, stages and commits one generation.
pub fn publish(root: &Path, tables: &[&str], generation: u32) -> Result<Vec<PathBuf>> {
    let output = Output::open(root, AS_OF_US, RUN_ID)?;
    let manifests = stage(&output, tables, generation)?;
    output.commit(manifests)
}

/// What a reader found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No partition.
    Nothing,
    /// A partition that was replaced and removed while it was read: look again.
    Replaced,
    /// A whole partition of this generation.
    Whole(u32),
}

/// Reads a partition through one open folder, and checks that `_SUCCESS`, the manifest and the
/// files agree.
///
/// # Errors
/// Says what does not agree.
pub fn look(partition: &Path) -> std::result::Result<Seen, String> {
    let folder = match File::open(partition) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Seen::Nothing),
        folder => folder.map_err(|e| e.to_string())?,
    };
    match check(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))) {
        Ok(generation) => Ok(Seen::Whole(generation)),
        Err(reason) => {
            let held = folder.metadata().map_err(|e| e.to_string())?.ino();
            match fs::metadata(partition) {
                Ok(now) if now.ino() == held => Err(reason),
                _ => Ok(Seen::Replaced),
            }
        }
    }
}

fn check(folder: &Path) -> std::result::Result<u32, String> {
    let read = |name: &str| fs::read(folder.join(name)).map_err(|e| format!("{name}: {e}"));
    let json = read("_manifest.json")?;
    let success = String::from_utf8(read("_SUCCESS")?).map_err(|e| e.to_string())?;
    if success != format!("{:016x}\n", xxh3_64(&json)) {
        return Err(format!("_SUCCESS holds {success:?}, which is not the manifest's hash"));
    }
    let manifest: Manifest = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    for file in &manifest.files {
        let bytes = read(&file.name)?;
        if bytes.len() as u64 != file.bytes || format!("{:016x}", xxh3_64(&bytes)) != file.xxh3 {
            return Err(format!("{} is not the file of the manifest", file.name));
        }
    }
    let names = fs::read_dir(folder).map_err(|e| e.to_string())?;
    if names.count() != manifest.files.len() + 2 {
        return Err("there are files that the manifest does not name".into());
    }
    manifest.notes["generation"].parse().map_err(|e| format!("generation: {e}"))
}

/// Every path below `root`, relative to it, sorted.
pub fn tree(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            paths.push(path.strip_prefix(root).unwrap().display().to_string());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    paths.sort();
    paths
}
