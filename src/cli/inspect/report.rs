//! The figures of an input, and how they are printed.

use std::io::{self, Write};

use super::collect::{Event, Scan};
use super::input::Input;
use crate::cli::format::{bytes, count};
use crate::model::{AgeAction, Columns, fixed_to_f64, format_timestamp};

/// Quantiles of degrees that are printed, beside the largest and the mean.
const QUANTILES: [(&str, f64); 5] =
    [("p1", 0.01), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
/// Actions that are printed; others are summed up.
const ACTIONS_SHOWN: usize = 20;
/// Microseconds of a day.
const DAY_US: f64 = 86_400e6;

/// What the events say.
pub(super) struct Report {
    pub(super) edges: u64,
    /// Rows that equal an earlier one in every column that is read.
    pub(super) exact_duplicates: u64,
    /// Rows whose pair an earlier row has, exact duplicates among them.
    pub(super) repeated_pairs: u64,
    /// Ascending.
    pub(super) left_degrees: Vec<u32>,
    /// Ascending.
    pub(super) right_degrees: Vec<u32>,
    /// Least and greatest age in microseconds.
    pub(super) ages_us: Option<(u64, u64)>,
}

impl Report {
    pub(super) fn new(scan: &Scan) -> Report {
        let (mut left, mut right) = (vec![0; scan.lefts as usize], vec![0; scan.rights as usize]);
        let pair = |event: &Event| (event.left, event.right);
        let mut edges = 0;
        for events in scan.events.chunk_by(|a, b| pair(a) == pair(b)) {
            for event in events.iter().take(1) {
                left[event.left as usize] += 1;
                right[event.right as usize] += 1;
                edges += 1;
            }
        }
        left.sort_unstable();
        right.sort_unstable();
        let distinct = scan.events.chunk_by(|a, b| a == b).count() as u64;
        let ages = scan.events.iter().map(|event| AgeAction(event.age_action).age_us());
        let total = scan.events.len() as u64;
        Report {
            edges,
            exact_duplicates: total - distinct,
            repeated_pairs: total - edges,
            left_degrees: left,
            right_degrees: right,
            ages_us: ages.clone().min().zip(ages.max()),
        }
    }

    pub(super) fn print(&self, input: &Input, scan: &Scan, out: &mut dyn Write) -> io::Result<()> {
        let columns = &input.request.columns;
        let files = counted(scan.plan.files.len() as u64, "file");
        let size = bytes(scan.stats.bytes_read);
        writeln!(out, "input       {}: {files}, {size} read", input.label)?;
        print_columns(input, scan, out)?;
        print_rows(input, scan, out)?;
        let (lefts, rights) = (count(u64::from(scan.lefts)), count(u64::from(scan.rights)));
        writeln!(out, "nodes       {lefts} {}, {rights} {}", columns.left, columns.right)?;
        writeln!(out, "edges       {} distinct pairs", count(self.edges))?;
        let events = scan.events.len() as u64;
        writeln!(
            out,
            "duplicates  {} like an earlier one in every column ({}), {} of an earlier one's pair ({})",
            counted(self.exact_duplicates, "row"),
            percent(self.exact_duplicates, events),
            counted(self.repeated_pairs, "row"),
            percent(self.repeated_pairs, events),
        )?;
        self.print_degrees(columns, out)?;
        print_actions(input, scan, out)?;
        self.print_times(input, out)?;
        print_weights(input, scan, out)
    }

    fn print_degrees(&self, columns: &Columns, out: &mut dyn Write) -> io::Result<()> {
        if self.edges == 0 {
            return Ok(());
        }
        let width = columns.left.chars().count().max(columns.right.chars().count());
        write!(out, "degrees     {:width$}", "")?;
        for (name, _) in QUANTILES {
            write!(out, " {name:>9}")?;
        }
        writeln!(out, " {:>9} {:>9}", "max", "mean")?;
        let sides = [(&columns.left, &self.left_degrees), (&columns.right, &self.right_degrees)];
        for (name, degrees) in sides {
            write!(out, "            {name:width$}")?;
            for (_, share) in QUANTILES {
                write!(out, " {:>9}", count(u64::from(quantile(degrees, share))))?;
            }
            let mean = self.edges as f64 / degrees.len() as f64;
            writeln!(out, " {:>9} {mean:>9.1}", count(u64::from(quantile(degrees, 1.0))))?;
        }
        let top = self.right_degrees.len().div_ceil(10);
        let taken = self.right_degrees.iter().rev().take(top).map(|&d| u64::from(d)).sum();
        writeln!(
            out,
            "head        the top 10% of {} have {} of the edges",
            columns.right,
            percent(taken, self.edges)
        )
    }

    fn print_times(&self, input: &Input, out: &mut dyn Write) -> io::Result<()> {
        let (Some(_), Some((youngest, oldest))) = (&input.request.columns.time, self.ages_us)
        else {
            return Ok(());
        };
        let at = |age: u64| input.request.as_of_us.saturating_sub_unsigned(age);
        let days = (oldest - youngest) as f64 / DAY_US;
        let (first, last) = (format_timestamp(at(oldest)), format_timestamp(at(youngest)));
        writeln!(out, "time        {first} to {last} ({days:.1} days)")
    }
}

fn print_columns(input: &Input, scan: &Scan, out: &mut dyn Write) -> io::Result<()> {
    let columns = &input.request.columns;
    let (left_type, right_type) = (scan.plan.left_type, scan.plan.right_type);
    write!(out, "columns     left {} ({left_type})", columns.left)?;
    write!(out, ", right {} ({right_type})", columns.right)?;
    let others =
        [("action", &columns.action), ("time", &columns.time), ("weight", &columns.weight)];
    for (role, name) in others {
        if let Some(name) = name {
            write!(out, ", {role} {name}")?;
        }
    }
    if let Some(unit) = scan.plan.time_unit {
        write!(out, " ({} taken for its unit)", format!("{unit:?}").to_lowercase())?;
    }
    if !input.guessed.is_empty() {
        let roles: Vec<&str> = input.guessed.iter().map(|(role, _)| *role).collect();
        write!(out, "; guessed: {}", roles.join(", "))?;
    }
    writeln!(out)
}

fn print_rows(input: &Input, scan: &Scan, out: &mut dyn Write) -> io::Result<()> {
    let stats = &scan.stats;
    let share = percent(stats.rows_rejected, stats.rows_read);
    write!(out, "rows        {} read, ", count(stats.rows_read))?;
    writeln!(
        out,
        "{} usable, {} bad ({share})",
        count(stats.rows_admitted),
        count(stats.rows_rejected)
    )?;
    if input.job {
        let ignored: u64 = stats.rows_ignored.values().sum();
        writeln!(
            out,
            "            {} at or after as_of, {} before the window, {} of other actions; {} partitions or row groups not read",
            count(stats.rows_after_as_of),
            count(stats.rows_before_window),
            count(ignored),
            count(scan.plan.pruned),
        )?;
    }
    for ((column, reason), (rows, first)) in &scan.bad {
        writeln!(
            out,
            "bad rows    {}: {reason}, {}; the first is {}, {}, {:?}",
            if column.is_empty() { "row" } else { column },
            counted(*rows, "row"),
            first.path.display(),
            first.position,
            first.value
        )?;
    }
    Ok(())
}

fn print_actions(input: &Input, scan: &Scan, out: &mut dyn Write) -> io::Result<()> {
    let mut actions: Vec<(&String, u64, &str)> =
        scan.actions.iter().map(|(name, &rows)| (name, rows, "")).collect();
    if input.job {
        let ignored = scan.stats.rows_ignored.iter();
        actions.extend(ignored.map(|(name, &rows)| (name, rows, ", ignored")));
    }
    actions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let total = actions.iter().map(|action| action.1).sum();
    for (index, (name, rows, note)) in actions.iter().take(ACTIONS_SHOWN).enumerate() {
        let head = if index == 0 { "actions" } else { "" };
        writeln!(out, "{head:<12}{name} {} ({}{note})", count(*rows), percent(*rows, total))?;
    }
    let rest: Vec<u64> = actions.iter().skip(ACTIONS_SHOWN).map(|action| action.1).collect();
    if !rest.is_empty() {
        let rows = count(rest.iter().sum());
        writeln!(out, "            and {} more of {rows} rows", count(rest.len() as u64))?;
    }
    Ok(())
}

fn print_weights(input: &Input, scan: &Scan, out: &mut dyn Write) -> io::Result<()> {
    if input.request.columns.weight.is_none() {
        return Ok(());
    }
    let mut weights: Vec<i64> = scan.events.iter().map(|event| event.weight).collect();
    weights.sort_unstable();
    let at = |share| fixed_to_f64(quantile(&weights, share));
    writeln!(out, "weight      least {}, median {}, greatest {}", at(0.0), at(0.5), at(1.0))
}

/// `1 file`, `2 files`.
fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The smallest of the ascending `values` that a share `share` of them does not exceed.
fn quantile<T: Copy + Default>(values: &[T], share: f64) -> T {
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let values: Vec<u32> = (1..=10).collect();
        let found = [0.0, 0.01, 0.1, 0.5, 0.51, 0.99, 1.0].map(|share| quantile(&values, share));
        assert_eq!(found, [1, 1, 1, 5, 6, 10, 10]);
        assert_eq!(quantile::<u32>(&[], 0.5), 0);
    }
}
