//! What each kernel does, counted from the shape of the graph.

use super::{Costs, Shape, Term, term};

/// Bytes of a hash table of keys for each key: entries of 16 bytes, between a quarter and a half of
/// them in use.
const KEY_BYTES: f64 = 43.0;

/// Ingestion of `shape`, with or without times or actions: reading and sorting rows, looking both keys up,
/// and what each distinct key takes.
pub fn ingest(costs: &Costs, shape: &Shape, timed: bool) -> Vec<Term> {
    let of = &costs.ingest;
    let beyond = |keys: f64| costs.caches.beyond(keys * KEY_BYTES);
    let keys = shape.events * (beyond(shape.lefts) + beyond(shape.rights));
    vec![
        term("row", shape.rows, of.row),
        term("timed row", if timed { shape.rows } else { 0.0 }, of.timed_row),
        term("key beyond cache", keys, of.key_beyond_cache),
        term("node", shape.lefts + shape.rights, of.node),
    ]
}

/// Columns of so many, from which on rows may list them; and how many columns a wedge must stand for.
/// As in kernels/two_hop.rs.
const LISTING: (f64, f64) = (262_144.0, 96.0);

/// Columns of a block, as there.
const BLOCK: f64 = 1024.0;

/// Bytes of an edge in a left list: 4 from 65,536 columns on.
const LIST_BYTES: f64 = 4.0;

/// two_hop over all right nodes, keeping `top_k`, with or without a discount.
///
/// How the wedges are spread over the rows is not known, so they are taken to be exponentially distributed
/// with mean `m`: `1 - exp(-x)` of the rows have less than `x m`, and these have `1 - (1 + x) exp(-x)` of the
/// wedges; a row keeps `m (1 - exp(-top_k / m))` columns. On L (docs/BENCHMARKS.md) that gives 95% of the rows
/// and 81% of the wedges to rows that list their columns; they are 96% and 73%.
pub fn two_hop(costs: &Costs, shape: &Shape, top_k: f64, discounted: bool) -> Vec<Term> {
    let of = &costs.two_hop;
    let (rows, wedges) = (shape.rights, shape.left_wedges);
    let mean = wedges.max(1.0) / rows.max(1.0);
    let (mut listing, mut listed) = (0.0, 0.0);
    if rows >= LISTING.0 && !discounted {
        let x = rows / LISTING.1 / mean;
        listing = rows * (1.0 - (-x).exp());
        listed = wedges * (1.0 - (1.0 + x) * (-x).exp());
    }
    let whole = rows - listing;
    // Counters of 8 bits, or of 16 with a discount.
    let width = if discounted { 2.0 } else { 1.0 };
    let lists = shape.edges * costs.caches.beyond(LIST_BYTES * shape.edges);
    let kept = mean * (1.0 - (-top_k / mean).exp());
    vec![
        term("wedge", wedges, of.wedge),
        term("listed wedge", listed, of.listed_wedge),
        term("discounted wedge", if discounted { wedges } else { 0.0 }, of.discounted_wedge),
        term("list beyond cache", lists, of.list_beyond_cache),
        term("row", whole, of.row),
        term("row and column", whole * rows * width, of.row_and_column),
        term("listing row and block", listing * rows / BLOCK, of.listing_row_and_block),
        term("kept column", rows * kept, of.kept_column),
    ]
}

/// Seeds that share a pass.
const LANES: f64 = 16.0;

/// Bytes of a lane in a truncated walk, and in an exact one.
const LANE_BYTES: (f64, f64) = (2.0, 4.0);

/// Half-steps of an exact walk, at the default restart probability.
const EXACT_HALF_STEPS: f64 = 44.0;

/// Edges of a pass for each push at most: seeds that reach much of the graph are pulled together, which
/// costs as much as pushing along three times all edges (kernels/seeded/sparse.rs).
const PULL: f64 = 3.0;

/// seeded for `seeds` seeds with `half_steps`; `None` for exact walks.
///
/// The first three half-steps follow the paths from the seed. With `d` the mean degree of a left node, and
/// `D`, `D'` the mean degrees of an edge's right and left end, `d D` edges lead to left nodes, and `d D D'` from
/// them, of which, drawn among `E`, `E (1 - exp(-d D D' / E))` are different. The last half-step, for the
/// candidates alone, is among what a node takes.
pub fn seeded(costs: &Costs, shape: &Shape, seeds: f64, half_steps: Option<f64>) -> Vec<Term> {
    let of = &costs.seeded;
    let (passes, lane_bytes) = match half_steps {
        Some(half_steps) => ((half_steps - 4.0).max(0.0), LANE_BYTES.0),
        None => (EXACT_HALF_STEPS, LANE_BYTES.1),
    };
    let lanes = seeds * passes * shape.edges / LANES;
    // Half of the passes read lanes of left nodes, half those of right nodes.
    let beyond = |nodes: f64| costs.caches.beyond(nodes * LANES * lane_bytes);
    let beyond = (beyond(shape.lefts) + beyond(shape.rights)) / 2.0;
    // An exact walk does nothing but passes.
    let seeds = if half_steps.is_some() { seeds } else { 0.0 };
    let planes = half_steps.map_or(0.0, |half_steps| ((half_steps - 3.0) / 2.0).floor());
    let edges = shape.edges.max(1.0);
    let second = edges / shape.lefts.max(1.0) * shape.right_wedges / edges;
    let third = edges * (1.0 - (-second * shape.left_wedges / edges / edges).exp());
    let pushes = (second + third).min(PULL * edges / LANES);
    vec![
        term("push", seeds * pushes, of.push),
        term("node", seeds * (shape.lefts + shape.rights), of.node),
        term("plane of right nodes", seeds * planes * shape.rights, of.plane_of_right_nodes),
        term("lane", lanes, of.lane),
        term("lane beyond cache", lanes * beyond, of.lane_beyond_cache),
    ]
}

/// propagate over both sides: two iterations share a pass over one side's edges.
pub fn propagate(costs: &Costs, shape: &Shape, iterations: f64) -> Vec<Term> {
    let of = &costs.propagate;
    let edges = shape.edges * (iterations + 1.0);
    // A contribution has 4 bytes; half of the passes read those of left nodes.
    let beyond = |nodes: f64| costs.caches.beyond(4.0 * nodes);
    let beyond = (beyond(shape.lefts) + beyond(shape.rights)) / 2.0;
    vec![
        term("edge", edges, of.edge),
        term("edge beyond cache", edges * beyond, of.edge_beyond_cache),
        term("node", (shape.lefts + shape.rights) * iterations, of.node),
    ]
}
