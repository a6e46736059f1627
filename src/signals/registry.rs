//! The registry: signals by name, one line a signal.

use super::{Signal, co_engagement, degree, pagerank, personalized_pagerank, popularity};
use crate::model::{Error, Result, nearest};

/// Every signal of the crate, in alphabetical order.
pub fn all() -> Vec<Box<dyn Signal>> {
    vec![
        Box::new(co_engagement::CoEngagement),
        Box::new(degree::Degree),
        Box::new(pagerank::PageRank),
        Box::new(personalized_pagerank::PersonalizedPagerank),
        Box::new(popularity::Popularity),
    ]
}

/// Signals by name.
pub struct Registry {
    signals: Vec<Box<dyn Signal>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry { signals: all() }
    }
}

impl Registry {
    /// The signals of `signals` alone, whose names must differ.
    pub fn of(signals: Vec<Box<dyn Signal>>) -> Registry {
        Registry { signals }
    }

    /// All signals, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Signal> {
        self.signals.iter().map(AsRef::as_ref)
    }

    /// The signal called `name`.
    ///
    /// # Errors
    /// When there is none; the nearest name is suggested.
    pub fn find(&self, name: &str) -> Result<&dyn Signal> {
        if let Some(signal) = self.iter().find(|signal| signal.name() == name) {
            return Ok(signal);
        }
        let names: Vec<&str> = self.iter().map(Signal::name).collect();
        let remedy = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", names.join(", ")),
        };
        Err(Error::job(format!("unknown signal {name:?}")).remedy(remedy))
    }
}
