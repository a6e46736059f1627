//! Disks that are full and places that take no writes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use pingraph::ErrorKind;
use pingraph::model::{Column, ColumnType, Error, Reject, Rows, Side, Table};
use pingraph::sink::{Output, PartWriter, write_rejects};

use crate::support::{
    AS_OF_US, PARTITION, RUN_ID, Seen, context, field, int_keys, look, publish, stage, tree,
};

/// A file system of its own, gone when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// One of `size`, if this process may mount.
    fn mount(at: &Path, size: &str) -> Option<Tmpfs> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Tmpfs(at.to_path_buf()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().unwrap();
    }
}

/// A large table: more than fits on the disks here.
fn big(parts: u32) -> (Table, Vec<Rows>) {
    let table = Table {
        name: "big".into(),
        side: Side::Right,
        fields: vec![field("x", ColumnType::Float64)],
    };
    let rows = |part: u32| Rows {
        nodes: (part * 20_000..(part + 1) * 20_000).collect(),
        columns: vec![Column::Float64(
            (0..20_000u64)
                .map(|i| f64::from_bits(0x3FF0 << 48 | (i * 0x9E37_79B9_7F4A) >> 4))
                .collect(),
        )],
    };
    (table, (0..parts).map(rows).collect())
}

fn fill(output: &Output) -> Result<(), Error> {
    let (table, blocks) = big(100);
    let context = context(int_keys(0), int_keys(2_000_000), 0);
    for (part, block) in blocks.iter().enumerate() {
        let mut writer =
            PartWriter::create(&output.staging().part_path("big", part)?, &table, &context)?;
        writer.write(block)?;
        writer.finish()?;
    }
    Ok(())
}

fn assert_one_line_with_remedy(error: &Error, words: &[&str]) {
    let line = error.to_string();
    assert_eq!(error.kind, ErrorKind::Publish, "{line}");
    assert!(error.remedy.is_some() && error.site.path.is_some(), "{line}");
    assert!(!line.contains('\n'), "{line}");
    for word in words {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

#[test]
fn a_full_disk_publishes_nothing_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(folder.path(), "2m") else {
        println!("SKIPPED: a full disk (this process may not mount a tmpfs)");
        return;
    };
    let root = disk.0.join("out");
    publish(&root, &["a_table"], 1).unwrap();
    let before = tree(&root);
    let output = Output::open(&root, AS_OF_US, RUN_ID).unwrap();
    stage(&output, &["a_table"], 2).unwrap();
    let error = fill(&output).unwrap_err();
    assert_one_line_with_remedy(&error, &["part-", "No space left on device", "free some space"]);
    drop(output);
    assert_eq!(tree(&root), before);
    assert_eq!(look(&root.join("a_table").join(PARTITION)), Ok(Seen::Whole(1)));
    // With the space back, the next run goes through.
    publish(&root, &["a_table"], 3).unwrap();
    assert_eq!(look(&root.join("a_table").join(PARTITION)), Ok(Seen::Whole(3)));
}

#[test]
fn a_disk_that_fills_up_during_the_commit_publishes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(folder.path(), "2m") else {
        println!("SKIPPED: a disk full at the commit (this process may not mount a tmpfs)");
        return;
    };
    let root = disk.0.join("out");
    publish(&root, &["a_table", "b_table"], 1).unwrap();
    let before = tree(&root);
    let mut failures = 0;
    // Pages left for the commit: too few for the first file, then for the next, until it fits.
    for pages in 0..20 {
        let output = Output::open(&root, AS_OF_US, RUN_ID).unwrap();
        let manifests = stage(&output, &["a_table", "b_table"], 2 + pages).unwrap();
        leave(&disk.0, pages as usize);
        let committed = output.commit(manifests);
        fs::remove_file(disk.0.join("ballast")).unwrap();
        let seen = ["a_table", "b_table"].map(|t| look(&root.join(t).join(PARTITION)).unwrap());
        match committed {
            Ok(_) => {
                assert_eq!(seen, [Seen::Whole(2 + pages), Seen::Whole(2 + pages)]);
                assert!(failures > 0, "the disk was never full");
                return;
            }
            Err(error) => {
                assert_one_line_with_remedy(&error, &["No space left on device"]);
                assert_eq!(seen, [Seen::Whole(1), Seen::Whole(1)]);
                assert_eq!(tree(&root), before);
                failures += 1;
            }
        }
    }
    panic!("no commit went through");
}

/// Fills the disk but for `pages` pages of 4 KiB.
fn leave(disk: &Path, pages: usize) {
    let ballast = disk.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    let mut bytes = 0;
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {
        bytes += 4096;
    }
    file.set_len((bytes - pages * 4096) as u64).unwrap();
}

#[test]
fn a_writer_without_space_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-00000.parquet");
    symlink("/dev/full", &path).unwrap();
    let (table, blocks) = big(1);
    let context = context(int_keys(0), int_keys(20_000), 0);
    let write = || {
        let mut writer = PartWriter::create(&path, &table, &context)?;
        writer.write(&blocks[0])?;
        writer.finish()
    };
    let error = write().unwrap_err();
    assert_one_line_with_remedy(&error, &["part-00000.parquet", "No space left", "free some"]);
}

#[test]
fn a_place_that_takes_no_writes_is_found_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"data").unwrap();
    let beside_tmp = folder.path().join("occupied");
    fs::create_dir(&beside_tmp).unwrap();
    fs::write(beside_tmp.join("_tmp"), b"data").unwrap();
    for root in [&file, &file.join("out"), &beside_tmp, Path::new("/proc/pingraph/out")] {
        let error = Output::open(root, AS_OF_US, RUN_ID).unwrap_err();
        assert_one_line_with_remedy(&error, &[root.to_str().unwrap()]);
        let error = write_rejects(root, AS_OF_US, RUN_ID, &[] as &[Reject]);
        assert!(root == beside_tmp.as_path() || error.is_err());
    }
    assert_eq!(fs::read(&file).unwrap(), b"data");
}

#[test]
fn a_read_only_file_system_is_found_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(folder.path(), "1m") else {
        println!("SKIPPED: a read-only disk (this process may not mount a tmpfs)");
        return;
    };
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro"]).arg(&disk.0);
    assert!(remount.status().unwrap().success());
    let error = Output::open(&disk.0.join("out"), AS_OF_US, RUN_ID).unwrap_err();
    assert_one_line_with_remedy(&error, &["Read-only file system", "write permission"]);
}

#[test]
fn a_folder_in_the_way_of_a_table_publishes_nothing() {
    let root = tempfile::tempdir().unwrap();
    publish(root.path(), &["a_table"], 1).unwrap();
    fs::write(root.path().join("b_table"), b"a file").unwrap();
    let error = publish(root.path(), &["a_table", "b_table"], 2).unwrap_err();
    assert_one_line_with_remedy(&error, &["b_table", "a file stands"]);
    assert_eq!(look(&root.path().join("a_table").join(PARTITION)), Ok(Seen::Whole(1)));
    assert!(!root.path().join("_tmp").exists());
}
