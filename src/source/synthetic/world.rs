//! The generator.
//!
//! Representation: rights stand in a random order that is cut into communities of equal size, with
//! one array of cumulative popularity over that order. A draw from all rights is a search in the
//! whole array, a draw from a community a search in its piece; both are in proportion to
//! popularity, and a community is picked by its total popularity, so that a right's expected
//! degree is in proportion to its popularity either way.
//!
//! For each left node, from a generator of its own seeded by (seed, left index):
//! 1. its degree: offset + lognormal, with a power tail;
//! 2. its communities: `mix`, or as many as hold twice its degree;
//! 3. distinct rights: inside one of its communities with probability `inside`, else from all;
//! 4. for each pair its events: one, and another as long as a coin says `repeat`; each with an
//!    action and a time, uniform over the span in whole milliseconds; sometimes delivered twice.
//!
//! Stopping rule: a left node that finds no new right in 20 draws for each edge of its degree (it
//! has nearly all rights within reach) keeps what it has. Cost: O(rights) once, then O(log rights)
//! a draw. All logarithms and exponentials are libm's, so the bits do not depend on the platform.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spec::{DAY_US, LeftDegree, RightPopularity, SyntheticSpec};

/// Draws for each edge of a left node's degree before it gives up.
const DRAWS_AN_EDGE: u64 = 20;
/// Domains of the seeds, so that left 7 and right 7 do not share their numbers.
const LEFT_DOMAIN: u64 = 1;
const RIGHT_DOMAIN: u64 = 2;

/// One event of a left node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyntheticEvent {
    /// Microseconds since 1970, whole milliseconds.
    pub time_us: i64,
    /// Index of the right node.
    pub right: u32,
    /// Index of the action, in ascending order of name.
    pub action: u8,
}

/// What all left nodes share.
pub(super) struct World {
    spec: SyntheticSpec,
    begin_us: i64,
    /// Rights in the order of communities.
    order: Vec<u32>,
    /// Popularity of `order[..i]` at `i`, so one longer than `order`.
    cumulative: Vec<f64>,
    /// Positions of `order` where communities begin, and its length at the end.
    communities: Vec<usize>,
    /// Cumulative probabilities of the actions; the last is replaced by infinity.
    actions: Vec<f64>,
}

impl World {
    /// The shared part of `spec`, which is valid.
    pub(super) fn new(spec: &SyntheticSpec) -> World {
        let rights = spec.rights as usize;
        let mut random = generator(spec.seed, RIGHT_DOMAIN, 0);
        let mut order: Vec<u32> = (0..spec.rights).collect();
        for last in (1..rights).rev() {
            order.swap(last, below(&mut random, last as u64 + 1) as usize);
        }
        let mut cumulative = Vec::with_capacity(rights + 1);
        let mut total = 0.0;
        cumulative.push(total);
        for _ in 0..rights {
            total += popularity(&spec.right_popularity, &mut random);
            cumulative.push(total);
        }
        let pieces = (rights / spec.communities.size as usize).max(1);
        let communities = (0..=pieces).map(|piece| piece * rights / pieces).collect();
        let mut actions: Vec<f64> = Vec::new();
        for chance in spec.actions.values() {
            actions.push(actions.last().copied().unwrap_or(0.0) + chance);
        }
        if let Some(last) = actions.last_mut() {
            *last = f64::INFINITY;
        }
        let (begin_us, _) = spec.span_us();
        World { spec: spec.clone(), begin_us, order, cumulative, communities, actions }
    }

    /// Replaces `events` by those of left node `left`. `seen` belongs to the caller and to one
    /// world; it starts as `rights` times `u32::MAX` and spares a set for each left node.
    pub(super) fn events_of(&self, left: u32, seen: &mut [u32], events: &mut Vec<SyntheticEvent>) {
        events.clear();
        let mut random = generator(self.spec.seed, LEFT_DOMAIN, u64::from(left));
        let wanted = degree(&self.spec.left_degree, self.spec.rights, &mut random);
        let mine = self.draw_communities(wanted, &mut random);
        let mut found = 0;
        for _ in 0..DRAWS_AN_EDGE * u64::from(wanted) {
            if found == wanted {
                break;
            }
            let range = if uniform(&mut random) < self.spec.communities.inside {
                self.community(mine[below(&mut random, mine.len() as u64) as usize])
            } else {
                0..self.order.len()
            };
            let right = self.order[self.draw_position(range, &mut random)];
            if seen[right as usize] != left {
                seen[right as usize] = left;
                found += 1;
                self.draw_events(right, &mut random, events);
            }
        }
    }

    /// The communities of a left node of degree `degree`; one may come twice and then counts
    /// double.
    fn draw_communities(&self, degree: u32, random: &mut ChaCha8Rng) -> Vec<usize> {
        let mix = &self.spec.communities;
        let needed = (2 * u64::from(degree)).div_ceil(u64::from(mix.size));
        let count = needed.max(u64::from(mix.mix)).min(self.communities.len() as u64 - 1);
        (0..count)
            .map(|_| {
                let position = self.draw_position(0..self.order.len(), random);
                self.communities.partition_point(|&begin| begin <= position) - 1
            })
            .collect()
    }

    /// Positions of `order` that belong to community `community`.
    fn community(&self, community: usize) -> std::ops::Range<usize> {
        self.communities[community]..self.communities[community + 1]
    }

    /// A position in `range` (not empty), in proportion to popularity.
    fn draw_position(&self, range: std::ops::Range<usize>, random: &mut ChaCha8Rng) -> usize {
        let (low, high) = (self.cumulative[range.start], self.cumulative[range.end]);
        let point = low + uniform(random) * (high - low);
        let ends = &self.cumulative[range.start + 1..range.end + 1];
        // Rounding can put the point on the upper end, which belongs to nobody.
        range.start + ends.partition_point(|&end| end <= point).min(ends.len() - 1)
    }

    /// Appends the events of a pair.
    fn draw_events(&self, right: u32, random: &mut ChaCha8Rng, events: &mut Vec<SyntheticEvent>) {
        loop {
            let point = uniform(random);
            let action = self.actions.partition_point(|&end| end <= point) as u8;
            let millisecond = below(random, u64::from(self.spec.days) * (DAY_US as u64 / 1_000));
            let time_us = self.begin_us + millisecond as i64 * 1_000;
            let event = SyntheticEvent { time_us, right, action };
            events.push(event);
            if uniform(random) < self.spec.duplicate {
                events.push(event);
            }
            if uniform(random) >= self.spec.repeat {
                return;
            }
        }
    }
}

/// The generator of node `index`: ChaCha with 8 rounds, keyed by seed, domain and index.
fn generator(seed: u64, domain: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, domain, index]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Uniform in [0, 1), a multiple of 2^-53.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Uniform in 0..bound, by Lemire's multiplication; the bias is below bound / 2^64.
fn below(random: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(random.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// Standard normal, by Box and Muller (1958). `rand_distr` would take its logarithm from the
/// platform.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - uniform(random))).sqrt();
    radius * libm::cos(2.0 * std::f64::consts::PI * uniform(random))
}

/// A left node's degree, 1 to `rights`.
fn degree(shape: &LeftDegree, rights: u32, random: &mut ChaCha8Rng) -> u32 {
    let mut body = libm::exp(shape.mu + shape.sigma * normal(random));
    if let Some(tail) = &shape.tail
        && body > tail.from
    {
        // The inverse of the Pareto distribution truncated at `to`.
        let power = 1.0 - tail.exponent;
        let cut = 1.0 - libm::pow(tail.to / tail.from, power);
        body = tail.from * libm::pow(1.0 - uniform(random) * cut, 1.0 / power);
    }
    // The cast saturates.
    ((shape.offset + body).round() as u32).clamp(1, rights)
}

/// A right node's popularity.
fn popularity(shape: &RightPopularity, random: &mut ChaCha8Rng) -> f64 {
    shape.offset + libm::exp(shape.mu + shape.sigma * normal(random))
}
