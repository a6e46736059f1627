//! What each kernel does, counted from the shape of the graph.

use super::{Costs, Shape, Term, term};

/// Bytes of a hash table of keys for each key: entries of 16 bytes, between a quarter and a half of
/// them in use.
const KEY_BYTES: f64 = 43.0;

/// Ingestion of `shape`, with or without times or actions.
pub fn ingest(costs: &Costs, shape: &Shape, timed: bool) -> Vec<Term> {
    let of = &costs.ingest;
    let tables = [shape.lefts, shape.rights].map(|keys| costs.caches.shares(keys * KEY_BYTES));
    let [[left_last, left_memory], [right_last, right_memory]] = tables;
    vec![
        term("row", shape.rows, of.row),
        term("timed row", if timed { shape.rows } else { 0.0 }, of.timed_row),
        term("key in last cache", shape.events * (left_last + right_last), of.key_in_last_cache),
        term("key in memory", shape.events * (left_memory + right_memory), of.key_in_memory),
        term("node", shape.lefts + shape.rights, of.node),
    ]
}

/// Columns of so many, from which on rows may list them; and how many columns a wedge must stand for.
/// As in kernels/two_hop.rs.
const LISTING: (f64, f64) = (262_144.0, 96.0);

/// Bytes of an edge in a left list: 4 from 65,536 columns on.
const LIST_BYTES: f64 = 4.0;

/// two_hop over all right nodes, keeping `top_k`, with or without a discount.
///
/// How the wedges are spread over the rows is not known, so they are taken to be exponentially distributed
/// with mean `m`: `1 - exp(-x)` of the rows have less than `x m`, and these have `1 - (1 + x) exp(-x)` of the
/// wedges; a row keeps `m (1 - exp(-top_k / m))` columns. On L (docs/BENCHMARKS.md) that gives 95% of the rows
/// and 81% of the wedges to rows that list their columns; they are 96% and 73%.
///
/// The left lists stream through the caches beside the counters, which have half of them to themselves.
pub fn two_hop(costs: &Costs, shape: &Shape, top_k: f64, discounted: bool) -> Vec<Term> {
    let of = &costs.two_hop;
    let (rows, wedges) = (shape.rights, shape.left_wedges);
    let mean = wedges.max(1.0) / rows.max(1.0);
    let (mut listing_rows, mut listed) = (0.0, 0.0);
    if rows >= LISTING.0 && !discounted {
        let x = rows / LISTING.1 / mean;
        listing_rows = 1.0 - (-x).exp();
        listed = 1.0 - (1.0 + x) * (-x).exp();
    }
    // Counters of 8 bits, or of 16 with a discount.
    let width = if discounted { 2.0 } else { 1.0 };
    let [counters_last, counters_memory] = costs.caches.shares(2.0 * width * rows);
    let [_, lists_memory] = costs.caches.shares(LIST_BYTES * shape.edges);
    let kept = mean * (1.0 - (-top_k / mean).exp());
    let weighed = if discounted { wedges } else { 0.0 };
    vec![
        term("wedge", wedges, of.wedge),
        term(
            "wedge in last cache",
            wedges * (counters_last + counters_memory),
            of.wedge_in_last_cache,
        ),
        term("wedge from memory", wedges * lists_memory, of.wedge_from_memory),
        term("listed wedge", wedges * listed, of.listed_wedge),
        term("discounted wedge", weighed, of.discounted_wedge),
        term("row and column", rows * rows * width * (1.0 - listing_rows), of.row_and_column),
        term("edge", shape.edges, of.edge),
        term("row", rows, of.row),
        term("kept", rows * kept, of.kept),
    ]
}

/// Seeds that share a pass.
const LANES: f64 = 16.0;

/// Half-steps of an exact walk, at the default restart probability.
const EXACT_HALF_STEPS: f64 = 44.0;

/// What an edge of an exact pass costs in those of a truncated one: lanes of 32 bits instead of 16,
/// and sums of 64.
const EXACT_LANE: f64 = 1.6;

/// seeded for `seeds` seeds with `half_steps`, keeping `top_k`; `None` for exact walks.
///
/// The first three half-steps follow the paths from the seed. With `d` the mean degree of a left node
/// and `D` the mean degree of an edge's end, `d D` edges lead to left nodes, and `d D D'` from them, of
/// which, drawn among `E`, `E (1 - exp(-d D D' / E))` are different.
pub fn seeded(
    costs: &Costs,
    shape: &Shape,
    seeds: f64,
    half_steps: Option<f64>,
    top_k: f64,
) -> Vec<Term> {
    let of = &costs.seeded;
    let edges = shape.edges.max(1.0);
    // Half of the passes read lanes of left nodes, half those of right nodes.
    let [last, memory] = costs.caches.shares(2.0 * LANES * (shape.lefts + shape.rights) / 2.0);
    let passes = match half_steps {
        Some(half_steps) => (half_steps - 4.0).max(0.0),
        None => EXACT_HALF_STEPS * EXACT_LANE,
    };
    let lanes = seeds * passes * edges / LANES;
    // An exact walk does nothing but passes.
    let some = if half_steps.is_some() { seeds } else { 0.0 };
    let (left_end, right_end) = (shape.left_wedges / edges, shape.right_wedges / edges);
    let second = edges / shape.lefts.max(1.0) * right_end;
    let third = edges * (1.0 - (-second * left_end / edges).exp());
    let pushes = some * (second + third);
    let [push_last, push_memory] = costs.caches.shares(4.0 * shape.rights);
    let candidates = some * (1.5 * top_k + 20.0).min(shape.rights);
    vec![
        term("push", pushes, of.push),
        term("push beyond cache", pushes * (push_last + push_memory), of.push_beyond_cache),
        term("node", some * (shape.lefts + shape.rights), of.node),
        term("lane", lanes, of.lane),
        term("lane in last cache", lanes * last, of.lane_in_last_cache),
        term("lane in memory", lanes * memory, of.lane_in_memory),
        term("candidate edge", candidates * right_end, of.candidate_edge),
    ]
}

/// propagate over both sides: two iterations share a pass over one side's edges.
pub fn propagate(costs: &Costs, shape: &Shape, iterations: f64) -> Vec<Term> {
    let of = &costs.propagate;
    let passes = iterations + 1.0;
    let [last, memory] = costs.caches.shares(4.0 * (shape.lefts + shape.rights) / 2.0);
    vec![
        term("edge", shape.edges * passes, of.edge),
        term("edge in last cache", shape.edges * passes * last, of.edge_in_last_cache),
        term("edge in memory", shape.edges * passes * memory, of.edge_in_memory),
        term("node", (shape.lefts + shape.rights) * iterations, of.node),
    ]
}
