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
    /// More, for a look-up in a hash table of keys that outgrows the second-level cache.
    pub key_beyond_cache: f64,
    /// A distinct key: sorting it, its dense id.
    pub node: f64,
}

/// Of two_hop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoHopCosts {
    /// A wedge: adding to a counter.
    pub wedge: f64,
    /// More, for a wedge of a row that lists the columns which it touches.
    pub listed_wedge: f64,
    /// More, for a wedge with a discount, which is walked twice.
    pub discounted_wedge: f64,
    /// An edge, for fetching the list of its left node from beyond the second-level cache.
    pub list_beyond_cache: f64,
    /// A row that does not list its columns: the bisection.
    pub row: f64,
    /// A column of such a row, and byte of a counter: summarising and clearing.
    pub row_and_column: f64,
    /// A block of columns of a row that lists them: its thresholds.
    pub listing_row_and_block: f64,
    /// A column that is kept: finding and sorting it.
    pub kept_column: f64,
}

/// Of seeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeededCosts {
    /// A push along an edge in the first three half-steps.
    pub push: f64,
    /// A node of either side for each seed: lanes, estimates, candidates.
    pub node: f64,
    /// More, for a right node and each half-step on the right after the third.
    pub plane_of_right_nodes: f64,
    /// An edge of a pass for sixteen seeds.
    pub lane: f64,
    /// More, where the lanes outgrow the second-level cache.
    pub lane_beyond_cache: f64,
}

/// Of propagate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PropagateCosts {
    /// An edge and pass over one side's adjacency.
    pub edge: f64,
    /// More, where the contributions outgrow the second-level cache.
    pub edge_beyond_cache: f64,
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

// The constants of the four kernels below are what this printed on the machine of docs/BENCHMARKS.md, which
// says how well they fit.
//
//     cargo bench --bench cost -- fit target/peers/S target/peers/M

impl Default for IngestCosts {
    fn default() -> IngestCosts {
        IngestCosts { row: 30.5, timed_row: 39.8, key_beyond_cache: 23.0, node: 146.0 }
    }
}

impl Default for TwoHopCosts {
    fn default() -> TwoHopCosts {
        TwoHopCosts {
            wedge: 0.428,
            listed_wedge: 3.78,
            discounted_wedge: 0.539,
            list_beyond_cache: 104.0,
            row: 2160.0,
            row_and_column: 0.042,
            listing_row_and_block: 2.5,
            kept_column: 36.8,
        }
    }
}

impl Default for SeededCosts {
    fn default() -> SeededCosts {
        SeededCosts {
            push: 0.913,
            node: 1.84,
            plane_of_right_nodes: 2.01,
            lane: 0.201,
            lane_beyond_cache: 4.31,
        }
    }
}

impl Default for PropagateCosts {
    fn default() -> PropagateCosts {
        PropagateCosts { edge: 1.05, edge_beyond_cache: 9.92, node: 3.49 }
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
