//! What every subcommand that reads a job file takes.

use std::path::PathBuf;

use clap::Args;

use crate::engine::Workers;
use crate::job::{Job, Overrides};
use crate::model::Result;

/// The job file and its overrides.
#[derive(Args, Debug)]
pub struct JobArgs {
    /// The job file.
    pub job: PathBuf,

    /// Events at or after this time are invisible: 2026-11-01T00:00:00Z or 2026-11-01. Overrides
    /// job.as_of.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,

    /// Overrides a key of the job file, for example --set graph.window=30d.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl JobArgs {
    /// Reads and validates the job.
    ///
    /// # Errors
    /// When the job file or an override is wrong.
    pub fn load(&self) -> Result<Job> {
        let overrides = Overrides { as_of: self.as_of.clone(), set: self.set.clone() };
        Job::from_file_with(&self.job, &overrides)
    }
}

/// How many workers.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Worker threads; the features are the same for any number. Default: the cores.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}

impl WorkerArgs {
    /// The workers.
    pub fn workers(&self) -> Workers {
        self.workers.map_or_else(Workers::cores, |count| Workers::threads(usize::from(count)))
    }
}
