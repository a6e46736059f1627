//! What each thing that the model counts takes, in nanoseconds.

use super::Caches;

/// Nanoseconds of everything that is counted, on the machine that runs the job. [`Costs::default`] was
/// measured on one machine; a calibration on another replaces the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// The caches.
    pub caches: Caches,
    /// Reading, ids, edges, adjacencies.
    pub ingest: IngestCosts,
    /// co_engagement.
    pub two_hop: TwoHopCosts,
    /// personalized_pagerank.
    pub seeded: SeededCosts,
    /// pagerank.
    pub propagate: PropagateCosts,
    /// What is not fitted.
    pub other: OtherCosts,
}

/// Of ingestion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IngestCosts {
    /// A row of the input: decoding, hashing both keys, sorting by pair, both adjacencies.
    pub row: f64,
    /// More, for a row whose time or action counts.
    pub timed_row: f64,
    /// A look-up in a hash table of keys that ends in the last-level cache.
    pub key_in_last_cache: f64,
    /// The same in memory.
    pub key_in_memory: f64,
    /// A distinct key: sorting it, its dense id.
    pub node: f64,
}

/// Of two_hop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoHopCosts {
    /// A wedge: adding to a counter of the second-level cache.
    pub wedge: f64,
    /// More, if the counter is farther away.
    pub wedge_in_last_cache: f64,
    /// More, if the left lists, which stream, come from memory.
    pub wedge_from_memory: f64,
    /// More, for a wedge of a row that lists the columns which it touches.
    pub listed_wedge: f64,
    /// More, for a wedge with a discount, which is walked twice.
    pub discounted_wedge: f64,
    /// A column of a row that does not list them: summarising and clearing it.
    pub row_and_column: f64,
    /// An edge: fetching the list of its left node.
    pub edge: f64,
    /// A row: the bisection.
    pub row: f64,
    /// A column that is kept: finding and sorting it.
    pub kept: f64,
}

/// Of seeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeededCosts {
    /// A push along an edge in the first three half-steps.
    pub push: f64,
    /// More, where it ends in the last-level cache or in memory.
    pub push_beyond_cache: f64,
    /// A node of either side for each seed: planes, lanes, choosing candidates.
    pub node: f64,
    /// An edge of a pass for sixteen seeds.
    pub lane: f64,
    /// More, where the lanes come from the last-level cache.
    pub lane_in_last_cache: f64,
    /// More, where they come from memory.
    pub lane_in_memory: f64,
    /// An edge of a candidate in the last half-step.
    pub candidate_edge: f64,
}

/// Of propagate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PropagateCosts {
    /// An edge and pass over one side's adjacency.
    pub edge: f64,
    /// More, where the contribution comes from the last-level cache.
    pub edge_in_last_cache: f64,
    /// More, where it comes from memory.
    pub edge_in_memory: f64,
    /// A node and iteration.
    pub node: f64,
}

/// Of what is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OtherCosts {
    /// An event of aggregate.
    pub aggregate_event: f64,
    /// An edge of a kernel that is not listed here: a guess.
    pub edge: f64,
    /// A value written to Parquet.
    pub written_value: f64,
    /// A run whatever its size: starting, synchronising files, publishing.
    pub run: f64,
    /// Share of the time that more workers divide: the rest (merging dictionaries, publishing) is one
    /// worker's. Two workers were measured at 1.7 to 1.9 times one.
    pub parallel: f64,
}

// The constants of the four kernels below are those that this prints, on the machine of
// docs/BENCHMARKS.md; see there.
//
//     cargo bench --bench cost -- fit target/peers/S target/peers/M

impl Default for IngestCosts {
    fn default() -> IngestCosts {
        IngestCosts {
            row: 50.0,
            timed_row: 40.0,
            key_in_last_cache: 5.0,
            key_in_memory: 20.0,
            node: 100.0,
        }
    }
}

impl Default for TwoHopCosts {
    fn default() -> TwoHopCosts {
        TwoHopCosts {
            wedge: 1.5,
            wedge_in_last_cache: 1.5,
            wedge_from_memory: 3.0,
            listed_wedge: 5.0,
            discounted_wedge: 2.0,
            row_and_column: 0.025,
            edge: 20.0,
            row: 500.0,
            kept: 60.0,
        }
    }
}

impl Default for SeededCosts {
    fn default() -> SeededCosts {
        SeededCosts {
            push: 1.0,
            push_beyond_cache: 1.0,
            node: 2.0,
            lane: 2.0,
            lane_in_last_cache: 2.0,
            lane_in_memory: 10.0,
            candidate_edge: 2.0,
        }
    }
}

impl Default for PropagateCosts {
    fn default() -> PropagateCosts {
        PropagateCosts { edge: 1.0, edge_in_last_cache: 2.0, edge_in_memory: 5.0, node: 2.0 }
    }
}

impl Default for OtherCosts {
    fn default() -> OtherCosts {
        OtherCosts {
            aggregate_event: 85.0,
            edge: 10.0,
            written_value: 30.0,
            run: 1e8,
            parallel: 0.9,
        }
    }
}
