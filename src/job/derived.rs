//! What follows from a job, for the engine.

use super::Job;
use crate::graph::{EdgeRules, Needs};
use crate::model::{Error, Reject, Result, ScanStats};
use crate::signals::GraphSchema;

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
}
