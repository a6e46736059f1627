//! What to inspect: a job's source and columns, or a path with columns that are named or guessed.

use std::sync::Arc;

use super::InspectArgs;
use crate::job::Job;
use crate::model::{Columns, Error, Result, ScanRequest};
use crate::source::{FileFormat, Source, TIMES_END_US};

/// Usual names of the columns, the likeliest first, in small letters without separators.
const LEFT_NAMES: [&str; 8] =
    ["userid", "user", "uid", "visitorid", "reviewerid", "customerid", "boardid", "queryid"];
const RIGHT_NAMES: [&str; 12] = [
    "pinid",
    "itemid",
    "pin",
    "item",
    "iid",
    "productid",
    "movieid",
    "businessid",
    "artistid",
    "parentasin",
    "asin",
    "isbn",
];
const ACTION_NAMES: [&str; 6] =
    ["action", "eventtype", "event", "behaviortype", "behavior", "actiontype"];
const TIME_NAMES: [&str; 7] =
    ["eventtime", "timestamp", "ts", "time", "eventtimestamp", "datetime", "date"];
const WEIGHT_NAMES: [&str; 6] = ["weight", "rating", "stars", "overall", "bookrating", "score"];

/// An input that can be read.
pub(super) struct Input {
    /// One line: what it is.
    pub(super) label: String,
    /// Where events come from.
    pub(super) source: Arc<dyn Source>,
    /// What it is asked for.
    pub(super) request: ScanRequest,
    /// Columns that were guessed, by role.
    pub(super) guessed: Vec<(&'static str, String)>,
    /// Whether the rules of a job (`as_of`, window, actions) apply.
    pub(super) job: bool,
}

impl Input {
    /// The input that `args` names.
    ///
    /// # Errors
    /// When a job file is wrong, nothing is at the path, or a key column cannot be guessed.
    pub(super) fn open(args: &InspectArgs) -> Result<Input> {
        let path = args.input.to_string_lossy();
        if args.format.is_none() && path.ends_with(".toml") {
            return Input::of_job(args);
        }
        let format = match args.format {
            Some(format) => format.into(),
            None => FileFormat::of(&path)
                .map_err(|error| error.remedy("say --format parquet, csv or jsonl"))?,
        };
        let names = format.column_names(&path)?;
        let mut guessed = Vec::new();
        let mut column = |role, given: &Option<String>, usual: &[&str]| {
            given.clone().or_else(|| {
                let found = guess(&names, usual)?;
                guessed.push((role, found.clone()));
                Some(found)
            })
        };
        let left = column("left", &args.left, &LEFT_NAMES);
        let right = column("right", &args.right, &RIGHT_NAMES);
        let columns = Columns {
            action: column("action", &args.action, &ACTION_NAMES),
            time: column("time", &args.time, &TIME_NAMES),
            time_unit: None,
            weight: column("weight", &args.weight, &WEIGHT_NAMES),
            left: left.ok_or_else(|| unknown("left", &path, &names))?,
            right: right.ok_or_else(|| unknown("right", &path, &names))?,
            left_type: None,
            right_type: None,
        };
        let request = ScanRequest {
            columns,
            as_of_us: TIMES_END_US,
            window_us: None,
            actions: Vec::new(),
            keep_age_action: true,
        };
        let label = path.to_string();
        Ok(Input { label, source: format.open(&path), request, guessed, job: false })
    }

    fn of_job(args: &InspectArgs) -> Result<Input> {
        let named = [&args.left, &args.right, &args.action, &args.time, &args.weight];
        if named.into_iter().any(Option::is_some) {
            return Err(Error::job("a job file names its own columns")
                .path(&args.input)
                .remedy("leave out --left, --right, --action, --time and --weight"));
        }
        let job = Job::from_file(&args.input)?;
        let request = ScanRequest { keep_age_action: true, ..job.scan };
        let label = format!("{} ({})", args.input.display(), job.source_label);
        Ok(Input { label, source: job.source, request, guessed: Vec::new(), job: true })
    }
}

/// The column of `names` that is called as one of `usual` is, whatever its case and separators
/// and with or without a type behind a colon (`user_id:token`).
fn guess(names: &[String], usual: &[&str]) -> Option<String> {
    let plain = |name: &str| {
        let name = name.split(':').next().unwrap_or(name);
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    usual.iter().find_map(|usual| names.iter().find(|name| plain(name) == **usual)).cloned()
}

fn unknown(role: &str, path: &str, names: &[String]) -> Error {
    let shown: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    Error::input(format!("no column looks like the {role} key"))
        .path(path)
        .remedy(format!("name it with --{role}; the columns are {}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_guessed_by_their_usual_names() {
        let names = ["userId", "Item-ID:token", "Date", "event_time", "stars"];
        let names: Vec<String> = names.map(str::to_owned).into();
        assert_eq!(guess(&names, &LEFT_NAMES).as_deref(), Some("userId"));
        assert_eq!(guess(&names, &RIGHT_NAMES).as_deref(), Some("Item-ID:token"));
        assert_eq!(guess(&names, &TIME_NAMES).as_deref(), Some("event_time"));
        assert_eq!(guess(&names, &WEIGHT_NAMES).as_deref(), Some("stars"));
        assert_eq!(guess(&names, &ACTION_NAMES), None);
    }
}
