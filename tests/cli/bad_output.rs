//! Outputs that cannot be written, disks that are full, and runs that publish at the same time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{CSV_JOB, GOOD, Outcome, PARTITION, Place, assert_whole, files, skip, tree};

/// A user without rights of its own.
const NOBODY: u32 = 65534;

/// 2026-11-01T00:00:00Z.
const AS_OF_US: i64 = 1_793_491_200_000_000;

/// A job whose tables take some megabytes.
const LARGE_JOB: &str = r#"[job]
name = "large"
as_of = "2026-11-01T00:00:00Z"
[source.synthetic]
lefts = 8000
rights = 6000
[features.related.co_engagement]
[features.degrees.degree]
[sink.parquet]
path = "out"
"#;

/// A file system of its own, gone when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// One of `size`, if this process may mount.
    fn mount(at: &Path, size: &str) -> Option<Tmpfs> {
        fs::create_dir_all(at).unwrap();
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

#[test]
fn an_output_that_is_a_file() {
    let place = Place::with_rows(&[GOOD]);
    place.write("out", b"data");
    place.run(&[]).fails(
        5,
        "out/_tmp: cannot create the folder: Not a directory (os error 20); a file stands where a \
         folder must be: remove it, or publish elsewhere",
    );
    assert_eq!(fs::read(place.path("out")).unwrap(), b"data");
}

#[test]
fn an_output_where_nothing_can_be_made() {
    let place = Place::with_rows(&[GOOD]);
    let line = "/proc/pingraph/out/_tmp: cannot create the folder: *; *";
    place.run(&["--set", "sink.parquet.path=/proc/pingraph/out"]).fails(5, line);
}

#[test]
fn an_output_without_write_permission() {
    let place = Place::with_rows(&[GOOD]);
    let (folder, root) = (place.path(""), place.path("out"));
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = place.command(&["run", "job.toml"]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root writes everywhere, so another user runs the job.
        let mut probe = place.command(&["--version"]);
        if !probe.uid(NOBODY).gid(NOBODY).status().is_ok_and(|status| status.success()) {
            skip("no write permission (root writes all, and no other user can run)");
            return;
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    Outcome::of(&command.output().unwrap()).fails(
        5,
        "out/_tmp: cannot create the folder: Permission denied (os error 13); give write \
         permission, or publish to a folder that you may write",
    );
    assert_eq!(place.out(), Vec::<String>::new());
}

#[test]
fn a_full_disk() {
    let place = Place::new(LARGE_JOB);
    let Some(disk) = Tmpfs::mount(&place.path("disk"), "300k") else {
        skip("a full disk (this process may not mount a tmpfs)");
        return;
    };
    // An earlier run, small enough to fit, stays as it is.
    let to_disk = ["--set", "sink.parquet.path=disk/out"];
    let small = ["--set", "source.synthetic={ lefts = 50, rights = 40 }"];
    place.run(&[&to_disk[..], &small].concat()).succeeds();
    let related = disk.0.join("out/related").join(PARTITION);
    let (before, paths) = (files(&related).unwrap(), tree(&disk.0));
    place.run(&to_disk).fails(
        5,
        "disk/out/_tmp/dt=2026-11-01.*/*/part-00000*.parquet: cannot *: No space left on device (os \
         error 28); free some space there, or publish to another file system",
    );
    assert_eq!(tree(&disk.0), paths);
    assert_eq!(files(&related).unwrap(), before);
    // The same job goes through elsewhere.
    place.run(&[]).succeeds();
}

#[test]
fn a_partition_that_another_run_is_publishing() {
    let place = Place::with_rows(&[GOOD]);
    place.run(&[]).succeeds();
    let related = place.path("out/related").join(PARTITION);
    let before = files(&related).unwrap();
    let holder = pingraph::sink::Output::open(&place.path("out"), AS_OF_US, "another").unwrap();
    let pid = std::process::id();
    place.run(&[]).fails(
        5,
        &format!(
            "out/_tmp/dt=2026-11-01.lock: the partition dt=2026-11-01 is being published by another \
             run (pid {pid}); wait until it has ended, or stop it, then run again"
        ),
    );
    assert_eq!(files(&related).unwrap(), before);
    // Another partition is free.
    place.run(&["--as-of", "2026-11-02"]).succeeds();
    drop(holder);
    place.run(&[]).succeeds();
    assert!(!place.path("out/_tmp").exists());
}

#[test]
fn two_runs_at_once_leave_one_whole_partition() {
    let place = Place::new(LARGE_JOB);
    let start = || place.command(&["run", "job.toml", "--workers", "1"]).spawn().unwrap();
    let (first, second) = (start(), start());
    let outcomes = [first, second].map(|child| Outcome::of(&child.wait_with_output().unwrap()));
    assert!(outcomes.iter().any(|outcome| outcome.code == Some(0)), "{outcomes:?}");
    for outcome in outcomes.iter().filter(|outcome| outcome.code != Some(0)) {
        outcome.fails(
            5,
            "out/_tmp/dt=2026-11-01.lock: the partition dt=2026-11-01 is being published by another \
             run (pid *); wait until it has ended, or stop it, then run again",
        );
    }
    for table in ["related", "degrees_user", "degrees_pin"] {
        assert_whole(&files(&place.path("out").join(table).join(PARTITION)).unwrap());
    }
    assert!(!place.path("out/_tmp").exists());
}

#[test]
fn an_output_of_a_name_that_cannot_be() {
    let place = Place::with_rows(&[GOOD]);
    place.write("job.toml", CSV_JOB.replace("name = \"test\"", "name = \"a/b\"").as_bytes());
    let outcome = place.run(&[]);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""));
    assert!(outcome.err.starts_with("error: job.toml, line 2, job.name: "), "{outcome:?}");
    assert!(!place.path("out").exists());
}
