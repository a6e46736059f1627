//! What a synthetic data set looks like, as typed in a job (`[source.synthetic]`) or a spec file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::model::{Error, Result, parse_timestamp};

/// Microseconds of a day.
pub(super) const DAY_US: i64 = 86_400_000_000;
/// The longest span in days, so that the earliest event lies after 1900.
const DAYS_MAX: u32 = 25_000;
/// Midnight of 1970-01-01 and of 2262-01-01, between which `ends` lies, in microseconds since 1970.
const ENDS_MIN_US: i64 = 0;
const ENDS_MAX_US: i64 = 9_214_646_400_000_000;

/// A data set to generate. Every key has a default, unknown keys are rejected.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticSpec {
    /// Left nodes (users), at least 1. Default 2,000.
    pub lefts: u32,
    /// Right nodes (pins), at least 1. Default 1,500. Rights that nobody drew do not appear.
    pub rights: u32,
    /// Everything random follows from it. Default 1.
    pub seed: u64,
    /// How keys look: `int64` (sparse integers) or `utf8` (`pin_000123`). Default `int64`.
    pub keys: KeyStyle,
    /// Number of distinct rights of a left node.
    pub left_degree: LeftDegree,
    /// Popularity of a right node, relative to the others.
    pub right_popularity: RightPopularity,
    /// Communities of right nodes.
    pub communities: Communities,
    /// Probability of each action of an event; they add up to 1. Default closeup 0.7, save 0.2,
    /// click 0.08, hide 0.02.
    pub actions: BTreeMap<String, f64>,
    /// Length of the span of event times in days, 1 to 25,000. Default 90.
    pub days: u32,
    /// End of the span, not itself part of it, ISO 8601. Default `2026-11-01T00:00:00Z`.
    pub ends: String,
    /// Chance that an event of a pair is followed by another of the same pair, with its own time
    /// and action, 0 to below 1: a pair has 1 / (1 - repeat) events on average. Default 0.1.
    pub repeat: f64,
    /// Chance that an event is delivered twice, all columns equal, as logs that are delivered at
    /// least once have it, 0 to 1. Default 0.
    pub duplicate: f64,
}

/// How keys look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStyle {
    /// Sparse integers.
    Int64,
    /// Text such as `user_000123` and `pin_000123`.
    Utf8,
}

/// Number of distinct rights of a left node: `offset + exp(mu + sigma z)` with z standard normal,
/// rounded; with a `tail`, a lognormal part above its beginning is drawn anew from a power law.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeftDegree {
    /// Least degree. Default 1.
    pub offset: f64,
    /// Mean of the logarithm. Default 2.6 (median 13.5).
    pub mu: f64,
    /// Standard deviation of the logarithm, at least 0. Default 0.7.
    pub sigma: f64,
    /// Power tail. Default none.
    pub tail: Option<PowerTail>,
}

/// A tail whose density falls as `x^-exponent` from `from` to `to`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerTail {
    /// Exponent, 1.05 to 20; real tails have 2 to 3.
    pub exponent: f64,
    /// Where the tail takes over from the lognormal, at least 1.
    pub from: f64,
    /// Where it ends, above `from`.
    pub to: f64,
}

/// Popularity of a right node: `offset + exp(mu + sigma z)` with z standard normal. A right is
/// drawn in proportion to it, so only the shape counts: degrees are `lefts * mean left degree`
/// shared out by it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RightPopularity {
    /// Least popularity, at least 0. Default 2.
    pub offset: f64,
    /// Mean of the logarithm. Default 2.3.
    pub mu: f64,
    /// Standard deviation of the logarithm, at least 0. Default 1.0.
    pub sigma: f64,
}

/// Communities of right nodes, which make the graph cluster as real ones do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Communities {
    /// Right nodes of a community, about; at least 1. Default 65.
    pub size: u32,
    /// Communities that a left node mixes, at least 1; a heavy one mixes as many as hold twice its
    /// degree, or it would exhaust them. Default 3.
    pub mix: u32,
    /// Share of draws inside the left node's communities, 0 to 1; the others are drawn from all
    /// rights. Default 0.8.
    pub inside: f64,
}

impl Default for SyntheticSpec {
    fn default() -> Self {
        let actions = [("closeup", 0.7), ("save", 0.2), ("click", 0.08), ("hide", 0.02)];
        SyntheticSpec {
            lefts: 2_000,
            rights: 1_500,
            seed: 1,
            keys: KeyStyle::Int64,
            left_degree: LeftDegree::default(),
            right_popularity: RightPopularity::default(),
            communities: Communities::default(),
            actions: actions.iter().map(|(name, p)| ((*name).to_owned(), *p)).collect(),
            days: 90,
            ends: "2026-11-01T00:00:00Z".to_owned(),
            repeat: 0.1,
            duplicate: 0.0,
        }
    }
}

impl Default for LeftDegree {
    fn default() -> Self {
        LeftDegree { offset: 1.0, mu: 2.6, sigma: 0.7, tail: None }
    }
}

impl Default for RightPopularity {
    fn default() -> Self {
        RightPopularity { offset: 2.0, mu: 2.3, sigma: 1.0 }
    }
}

impl Default for Communities {
    fn default() -> Self {
        Communities { size: 65, mix: 3, inside: 0.8 }
    }
}

impl SyntheticSpec {
    /// Reads a spec file (TOML).
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has an unknown key or a value out of range.
    pub fn from_file(path: &Path) -> Result<SyntheticSpec> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::job(error.to_string())
                .path(path)
                .remedy("name a spec such as datasets/specs/small_boards.toml")
        })?;
        let spec: SyntheticSpec = toml::from_str(&text).map_err(|error| {
            let begin = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(begin).filter(|&byte| byte == b'\n').count() as u64 + 1;
            Error::job(error.message().replace('\n', " ")).path(path).line(line)
        })?;
        spec.validate().map_err(|error| error.path(path))?;
        Ok(spec)
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// When one is not; the error names the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, range: &str| {
            Err(Error::job("value out of range").column(key).remedy(format!("it must be {range}")))
        };
        let LeftDegree { offset, mu, sigma, tail } = &self.left_degree;
        let popularity = &self.right_popularity;
        let degree_ok = in_range(*offset, 0.0, 1e9);
        let popularity_ok = in_range(popularity.offset, 0.0, 1e9);
        let chances: f64 = self.actions.values().sum();
        let fair = self.actions.values().all(|&p| in_range(p, 0.0, 1.0));
        if self.lefts == 0 || self.lefts == u32::MAX {
            wrong("lefts", "1 to 4294967294")
        } else if self.rights == 0 || self.rights == u32::MAX {
            wrong("rights", "1 to 4294967294")
        } else if !degree_ok || !in_range(*mu, -20.0, 20.0) || !in_range(*sigma, 0.0, 5.0) {
            wrong("left_degree", "offset 0 to 1e9, mu -20 to 20, sigma 0 to 5")
        } else if tail.as_ref().is_some_and(|tail| !tail.is_valid()) {
            wrong("left_degree.tail", "exponent 1.05 to 20, from at least 1, to above from")
        } else if !popularity_ok
            || !in_range(popularity.mu, -20.0, 20.0)
            || !in_range(popularity.sigma, 0.0, 5.0)
        {
            wrong("right_popularity", "offset 0 to 1e9, mu -20 to 20, sigma 0 to 5")
        } else if self.communities.size == 0 || self.communities.mix == 0 {
            wrong("communities", "size and mix at least 1")
        } else if !in_range(self.communities.inside, 0.0, 1.0) {
            wrong("communities.inside", "0 to 1")
        } else if !fair || (chances - 1.0).abs() > 1e-6 || self.actions.len() > 255 {
            wrong("actions", "at most 255 probabilities that add up to 1")
        } else if self.days == 0 || self.days > DAYS_MAX {
            wrong("days", "1 to 25000")
        } else if self.ends_us().is_none() {
            wrong("ends", "a time of 1970 to 2261 such as 2026-11-01T00:00:00Z")
        } else if !in_range(self.repeat, 0.0, 0.99) {
            wrong("repeat", "0 to 0.99")
        } else if !in_range(self.duplicate, 0.0, 1.0) {
            wrong("duplicate", "0 to 1")
        } else {
            Ok(())
        }
    }

    /// End of the span of event times, microseconds since 1970; `None` if it cannot be read or
    /// lies outside the years that every source takes.
    fn ends_us(&self) -> Option<i64> {
        parse_timestamp(&self.ends).filter(|us| (ENDS_MIN_US..=ENDS_MAX_US).contains(us))
    }

    /// First and end of the span of event times, microseconds since 1970; the end is not part.
    pub(super) fn span_us(&self) -> (i64, i64) {
        let end_us = self.ends_us().unwrap_or(0);
        (end_us - i64::from(self.days) * DAY_US, end_us)
    }

    /// About how many events the spec gives, from the means of its distributions. Distinct draws
    /// from few rights give fewer.
    pub fn expected_events(&self) -> f64 {
        let degree = &self.left_degree;
        let mean = degree.offset + libm::exp(degree.mu + degree.sigma * degree.sigma / 2.0);
        let mean = mean.min(f64::from(self.rights)).max(1.0);
        f64::from(self.lefts) * mean * (1.0 + self.duplicate) / (1.0 - self.repeat)
    }
}

impl PowerTail {
    fn is_valid(&self) -> bool {
        let ends = in_range(self.from, 1.0, 1e9) && in_range(self.to, 1.0, 1e9);
        in_range(self.exponent, 1.05, 20.0) && ends && self.from < self.to
    }
}

fn in_range(value: f64, low: f64, high: f64) -> bool {
    value >= low && value <= high
}
