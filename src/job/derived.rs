//! What follows from a job, for the engine.

use super::{FeaturePlan, Job};
use crate::graph::{EdgeRules, Needs};
use crate::model::{Error, Reject, Result, ScanStats, nearest};
use crate::signals::{GraphSchema, Registry};

impl FeaturePlan {
    /// The kernel of the signal; empty for a signal of the caller's own.
    pub fn kernel(&self) -> &'static str {
        let registry = Registry::default();
        registry.find(&self.signal).map(|signal| signal.doc().kernel).unwrap_or_default()
    }
}

impl Job {
    /// What is known of the graph before its data is read.
    pub fn schema(&self) -> GraphSchema {
        GraphSchema {
            names: self.graph.names.clone(),
            actions: self.edge_rules().action_names(),
            timed: self.scan.columns.time.is_some(),
        }
    }

    /// What the features need, taken together.
    pub fn needs(&self) -> Needs {
        self.features.iter().map(|plan| plan.feature.needs()).fold(
            Needs::default(),
            |all, needs| Needs {
                weights: all.weights || needs.weights,
                events: all.events || needs.events,
            },
        )
    }

    /// The rules by which events become edges.
    pub fn edge_rules(&self) -> EdgeRules {
        let rules = &self.graph;
        EdgeRules::new(&self.scan, rules.half_life_us, rules.left_degree_max, self.needs())
    }

    /// Fails if more of the rows that were read are bad than the job allows. `rejects` gives the
    /// error its example.
    ///
    /// # Errors
    /// An input error that names the first bad row.
    pub fn check_rejects(&self, stats: &ScanStats, rejects: &[Reject]) -> Result<()> {
        let share = stats.rows_rejected as f64 / stats.rows_read.max(1) as f64;
        let Some(first) = rejects.iter().min().filter(|_| share > self.rejects_max) else {
            return Ok(());
        };
        let what = format!(
            "{} of {} rows are bad ({:.3}%), the job allows {:.3}%; the first: {} {:?}",
            stats.rows_rejected,
            stats.rows_read,
            100.0 * share,
            100.0 * self.rejects_max,
            first.reason,
            first.value,
        );
        let error = Error::input(what).path(&first.path);
        let placed = match self.source.positions_are_lines() {
            true => error.line(first.position),
            false => error.row(first.position),
        };
        // A row that cannot be taken apart has no column.
        let placed = match first.column.as_str() {
            "" => placed,
            column => placed.column(column),
        };
        Err(placed.remedy(format!(
            "see {} for all of them; mend the input or raise job.rejects_max",
            self.out.join("_rejects").display()
        )))
    }

    /// Fails if an action of the job is most likely misspelt: no row has it, and a row that was
    /// ignored has one of about that name; or no row has any action of the job. Gives the actions
    /// that no row has otherwise, for they may just be rare.
    ///
    /// # Errors
    /// An input error that names the action and the one that may be meant.
    pub fn check_actions(&self, stats: &ScanStats) -> Result<Vec<&str>> {
        let names = self.scan.actions.iter().map(|(name, _)| name.as_str());
        let unseen: Vec<&str> = names.filter(|n| !stats.rows_by_action.contains_key(*n)).collect();
        let ignored = || stats.rows_ignored.keys().map(String::as_str);
        let meant = unseen.iter().find_map(|name| Some((name, nearest(name, ignored())?)));
        if let Some((name, meant)) = meant {
            return Err(Error::input(format!("no event has action {name:?}"))
                .column(format!("graph.actions.{name}"))
                .remedy(format!("did you mean {meant:?}?")));
        }
        if stats.rows_by_action.is_empty() && !stats.rows_ignored.is_empty() {
            let found: Vec<String> = ignored().map(|name| format!("{name:?}")).collect();
            return Err(Error::input("no event has any of the job's actions")
                .column("graph.actions")
                .remedy(format!("the input has {}", found.join(", "))));
        }
        // Where no row was looked at, the actions are not to blame.
        Ok(if stats.rows_by_action.is_empty() { Vec::new() } else { unseen })
    }
}
