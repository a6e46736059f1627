//! Part files, read back by the Parquet library that other programs use too.

use std::fs::{self, File};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use pingraph::ErrorKind;
use pingraph::model::{Column, ColumnType, KeyRef, Keys, Rows, Side, Table};
use pingraph::sink::WriteContext;

use crate::support::{
    AS_OF_US, context, field, full_rows, full_table, int_keys, text_keys, write_part,
};

/// All rows of a file in one batch.
fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    let columns = (0..schema.fields().len()).map(|i| {
        let arrays: Vec<&dyn Array> = batches.iter().map(|b| b.column(i).as_ref()).collect();
        assert_eq!(arrays.len(), 1, "the tests' files fit into one batch");
        batches[0].column(i).clone()
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

/// Values as text, row by row: what the file holds and what was meant to be in it.
fn as_read(batch: &RecordBatch, row: usize) -> Vec<String> {
    let value = |array: &dyn Array, i: usize| match array.data_type() {
        _ if array.is_null(i) => "null".to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).to_string(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(i).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(i).to_string(),
        DataType::Utf8 => array.as_string::<i32>().value(i).to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            array.as_primitive::<TimestampMicrosecondType>().value(i).to_string()
        }
        other => format!("a value of type {other}"),
    };
    let cell = |array: &dyn Array| match array.as_list_opt::<i32>() {
        None => value(array, row),
        Some(list) => {
            let items = list.value(row);
            let items: Vec<_> = (0..items.len()).map(|i| value(&items, i)).collect();
            format!("[{}]", items.join(" "))
        }
    };
    batch.columns().iter().map(|column| cell(column.as_ref())).collect()
}

fn as_meant(context: &WriteContext, rows: &Rows, row: usize) -> Vec<String> {
    let list = |offsets: &[u32], text: &dyn Fn(usize) -> String| {
        let items: Vec<_> = (offsets[row] as usize..offsets[row + 1] as usize).map(text).collect();
        format!("[{}]", items.join(" "))
    };
    let mut cells = vec![
        context.right.key(rows.nodes[row]).to_string(),
        context.as_of_us.to_string(),
        context.created_us.to_string(),
    ];
    for (index, column) in rows.columns.iter().enumerate() {
        // Of the two node lists in the full table, the second is of the left side.
        let side = if index == 3 { &context.left } else { &context.right };
        cells.push(match column {
            Column::Int64(values) => values[row].map_or("null".into(), |v| v.to_string()),
            Column::Float32(values) => values[row].to_string(),
            Column::Float64(values) => values[row].to_string(),
            Column::NodeList { offsets, nodes } => {
                list(offsets, &|i| side.key(nodes[i]).to_string())
            }
            Column::Float32List { offsets, values } => list(offsets, &|i| values[i].to_string()),
            Column::Int64List { offsets, values } => list(offsets, &|i| values[i].to_string()),
        });
    }
    cells
}

#[test]
fn every_value_reads_back_with_keys_of_both_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-00000.parquet");
    for (left, right) in [(int_keys(700), text_keys(700)), (text_keys(700), int_keys(700))] {
        let context = context(left, right, AS_OF_US + 77);
        let rows = full_rows(5..695, 700, 1);
        let part =
            write_part(&path, &full_table("t"), &context, std::slice::from_ref(&rows)).unwrap();
        assert_eq!((part.rows, part.name.as_str()), (690, "part-00000.parquet"));
        assert_eq!(part.bytes, fs::metadata(&path).unwrap().len());
        let batch = read(&path);
        assert_eq!(batch.num_rows(), 690);
        for row in 0..690 {
            assert_eq!(as_read(&batch, row), as_meant(&context, &rows, row));
        }
    }
}

#[test]
fn the_schema_is_what_feature_stores_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let context = context(int_keys(9), text_keys(9), 0);
    write_part(&path, &full_table("t"), &context, &[full_rows(0..9, 9, 0)]).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let found: Vec<_> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::List(item) => {
                assert!(item.is_nullable());
                format!("{} list<{}: {}>", field.name(), item.name(), item.data_type())
            }
            other => format!("{} {other}", field.name()),
        })
        .collect();
    let time = "Timestamp(µs, \"UTC\")";
    let expected = [
        "pin_id Utf8".to_string(),
        format!("event_timestamp {time}"),
        format!("created_timestamp {time}"),
        "related_pin_ids list<item: Utf8>".into(),
        "related_pin_scores list<item: Float32>".into(),
        "related_pin_counts list<item: Int64>".into(),
        "top_user_ids list<item: Int64>".into(),
        "last_event_age_us Int64".into(),
        "rank Float64".into(),
        "share Float32".into(),
    ];
    assert_eq!(found, expected);
    let metadata = reader.metadata();
    assert!(metadata.file_metadata().key_value_metadata().is_none(), "metadata of the run");
    for column in metadata.row_group(0).columns() {
        assert_eq!(column.compression(), Compression::SNAPPY);
        assert!(column.statistics().is_some());
    }
}

#[test]
fn bytes_do_not_depend_on_how_the_rows_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let count = 20_000u32;
    let context = context(int_keys(count as usize), text_keys(count as usize), 5);
    let bytes_in_blocks_of = |size: u32| {
        let path = folder.path().join(format!("{size}"));
        let blocks: Vec<_> = (0..count)
            .step_by(size as usize)
            .map(|begin| full_rows(begin..(begin + size).min(count), count, 2))
            .collect();
        let part = write_part(&path, &full_table("t"), &context, &blocks).unwrap();
        let records: Vec<_> = part.columns.iter().map(|column| column.record("")).collect();
        (fs::read(&path).unwrap(), records)
    };
    let whole = bytes_in_blocks_of(count);
    for size in [1, 997, 8_192, 8_193] {
        assert!(bytes_in_blocks_of(size) == whole, "blocks of {size} rows");
    }
}

#[test]
fn a_rerun_gives_the_same_bytes_but_for_the_created_timestamp() {
    let folder = tempfile::tempdir().unwrap();
    let keys = || int_keys(500);
    let write = |name: &str, created_us: i64| {
        let path = folder.path().join(name);
        let context = context(keys(), keys(), created_us);
        write_part(&path, &full_table("t"), &context, &[full_rows(0..500, 500, 0)]).unwrap();
        path
    };
    let (first, same, later) = (write("a", 1), write("b", 1), write("c", 2));
    assert_eq!(fs::read(&first).unwrap(), fs::read(same).unwrap());
    let (a, b) = (read(&first), read(&later));
    assert_ne!(a.column(2), b.column(2));
    let differing = (0..a.num_columns()).filter(|&i| a.column(i) != b.column(i)).count();
    assert_eq!(differing, 1);
    assert_eq!(fs::metadata(first).unwrap().len(), fs::metadata(later).unwrap().len());
}

#[test]
fn row_groups_have_a_fixed_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let count = 140_000;
    let table = Table {
        name: "t".into(),
        side: Side::Right,
        fields: vec![field("x", ColumnType::Float32)],
    };
    let context = context(int_keys(0), int_keys(count), 0);
    let rows = Rows {
        nodes: (0..count as u32).collect(),
        columns: vec![Column::Float32(vec![0.5; count])],
    };
    write_part(&path, &table, &context, &[rows]).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows());
    assert_eq!(groups.collect::<Vec<_>>(), [131_072, 140_000 - 131_072]);
}

#[test]
fn long_lists_of_long_keys_stay_within_a_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let mut keys = Keys::new(pingraph::model::KeyType::Utf8);
    for i in 0..60 {
        keys.push(KeyRef::Utf8(&format!("{i:02}{}", "x".repeat(40_000))));
    }
    let table = Table {
        name: "t".into(),
        side: Side::Right,
        fields: vec![field("related_pin_ids", ColumnType::NodeList(Side::Right))],
    };
    let context = context(int_keys(0), keys, 0);
    let offsets = (0..=60u32).map(|i| i * 60).collect();
    let nodes: Vec<u32> = (0..3_600).map(|i| i % 60).collect();
    let rows = Rows {
        nodes: (0..60).collect(),
        columns: vec![Column::NodeList { offsets, nodes: nodes.clone() }],
    };
    // 144 MB of text are more than one row group takes.
    write_part(&path, &table, &context, &[rows]).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(builder.metadata().num_row_groups(), 2);
    let mut row = 0;
    for batch in builder.with_batch_size(1).build().unwrap() {
        let batch = batch.unwrap();
        let list = batch.column(3).as_list::<i32>().value(0);
        assert_eq!(list.len(), 60);
        assert!(list.as_string::<i32>().value(59).starts_with("59x"));
        row += 1;
    }
    assert_eq!(row, 60);
}

/// A way to spoil rows.
type Change = fn(&mut Rows);

#[test]
fn rows_that_are_not_as_declared_are_an_error_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(int_keys(50), int_keys(50), 0);
    let good = || full_rows(0..50, 50, 0);
    let node = |rows: &mut Rows| rows.nodes[49] = 50;
    let listed = |rows: &mut Rows| {
        if let Column::NodeList { nodes, .. } = &mut rows.columns[0] {
            nodes[0] = 50;
        }
    };
    let few = |rows: &mut Rows| rows.columns.truncate(6);
    let short = |rows: &mut Rows| rows.columns[6] = Column::Float32(vec![0.0; 49]);
    let typed = |rows: &mut Rows| rows.columns[6] = Column::Float64(vec![0.0; 50]);
    let ends = |rows: &mut Rows| {
        if let Column::Int64List { values, .. } = &mut rows.columns[2] {
            values.pop();
        }
    };
    let changes: [(&str, Change); 6] = [
        ("pin_id", node),
        ("related_pin_ids", listed),
        ("pin_id", few),
        ("share", short),
        ("share", typed),
        ("related_pin_counts", ends),
    ];
    for (column, change) in changes {
        let mut rows = good();
        change(&mut rows);
        let path = folder.path().join("part");
        let error = write_part(&path, &full_table("t"), &context, &[rows]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Engine, "{error}");
        assert_eq!(error.site.column.as_deref(), Some(column), "{error}");
    }
    write_part(&folder.path().join("part"), &full_table("t"), &context, &[good()]).unwrap();
}
