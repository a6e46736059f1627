//! What an event is worth: the weight of its action, its own weight, and decay with age.

use super::Needs;
use crate::model::{ActionRule, AgeAction, FIXED_ONE, ScanRequest};

/// The rules by which events become edges.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRules {
    /// Names and rules of the actions; empty if the job names none.
    pub(super) actions: Vec<(String, ActionRule)>,
    /// Half-life of an event's weight in microseconds.
    pub(super) half_life_us: Option<i64>,
    /// Edges a left node keeps.
    pub(super) left_degree_max: Option<u32>,
    /// Whether weights are kept beside the edges.
    pub(super) keep_weights: bool,
    /// Whether totals over events are kept.
    pub(super) totals: bool,
    /// Whether events have a time.
    pub(super) timed: bool,
}

impl EdgeRules {
    /// The rules for events read by `request`, whose weights halve every `half_life_us`
    /// microseconds, where each left node keeps its `left_degree_max` most recent edges.
    pub fn new(
        request: &ScanRequest,
        half_life_us: Option<i64>,
        left_degree_max: Option<u32>,
        needs: Needs,
    ) -> EdgeRules {
        EdgeRules {
            actions: request.actions.clone(),
            half_life_us,
            left_degree_max,
            keep_weights: needs.weights,
            totals: needs.events,
            timed: request.columns.time.is_some(),
        }
    }

    /// Whether a graph by these rules depends on the age or the action of events, so that
    /// [`ScanRequest::keep_age_action`] must be set.
    pub fn reads_age_action(&self) -> bool {
        let weighs = self.keep_weights || self.totals;
        let acts = weighs && !self.actions.is_empty();
        let ages = self.timed && (self.left_degree_max.is_some() || self.totals);
        self.removes_any() || acts || ages || (weighs && self.half_life_us.is_some())
    }

    /// Whether the weight column matters.
    pub fn reads_weight(&self) -> bool {
        self.keep_weights || self.totals
    }

    /// Names of the actions, ascending; one named `all` if the job names none.
    pub fn action_names(&self) -> Vec<String> {
        if self.actions.is_empty() {
            return vec!["all".into()];
        }
        self.actions.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether any action removes its edge.
    pub(super) fn removes_any(&self) -> bool {
        self.actions.iter().any(|(_, rule)| *rule == ActionRule::Remove)
    }

    /// Whether `action` removes its edge.
    #[inline]
    pub(super) fn removes(&self, action: u8) -> bool {
        matches!(self.actions.get(usize::from(action)), Some((_, ActionRule::Remove)))
    }

    /// The weight of one event: action x own x 2^(-age / half-life), rounded half away from zero
    /// once an event, so that the order of a sum cannot matter. An event that removes weighs 0.
    pub(super) fn weight(&self, age_action: AgeAction, own: i64) -> i64 {
        let action = match self.actions.get(usize::from(age_action.action())) {
            Some((_, ActionRule::Weight(weight))) => *weight,
            Some((_, ActionRule::Remove)) => return 0,
            None => FIXED_ONE,
        };
        // Neither factor is negative, so that half a unit more and a shift round half away from
        // zero.
        let exact = i128::from(action) * i128::from(own) + i128::from(FIXED_ONE / 2);
        let whole = i64::try_from(exact >> FIXED_ONE.ilog2()).unwrap_or(i64::MAX);
        match self.half_life_us {
            Some(half_life_us) if self.timed => {
                let half_lives = age_action.age_us() as f64 / half_life_us as f64;
                (whole as f64 * libm::exp2(-half_lives)).round() as i64
            }
            _ => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixed_from_f64;

    fn rules(half_life_us: Option<i64>) -> EdgeRules {
        let act = |name: &str, rule| (name.to_string(), rule);
        EdgeRules {
            actions: vec![
                act("close", ActionRule::Weight(fixed_from_f64(0.25))),
                act("hide", ActionRule::Remove),
            ],
            half_life_us,
            left_degree_max: None,
            keep_weights: true,
            totals: false,
            timed: true,
        }
    }

    #[test]
    fn weight_is_action_times_own_times_decay() {
        let rules = rules(Some(1000));
        let own = fixed_from_f64(3.0);
        assert_eq!(rules.weight(AgeAction::new(1000, 0), own), fixed_from_f64(0.375));
        assert_eq!(rules.weight(AgeAction::new(2000, 0), own), fixed_from_f64(0.1875));
        assert_eq!(rules.weight(AgeAction::new(1000, 1), own), 0);
        assert_eq!(rules.weight(AgeAction::new(1 << 40, 0), own), 0);
    }

    #[test]
    fn the_largest_weights_saturate() {
        let mut rules = rules(None);
        rules.actions[0].1 = ActionRule::Weight(fixed_from_f64(1e6));
        assert_eq!(rules.weight(AgeAction::new(1, 0), fixed_from_f64(1e6)), i64::MAX);
        assert_eq!(rules.weight(AgeAction::new(1, 0), FIXED_ONE), fixed_from_f64(1e6));
    }
}
