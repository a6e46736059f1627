//! The rounds of `personalized_pagerank`: fit, measure, rows.

use std::sync::Arc;

use super::EXACT_EDGES;
use crate::graph::Graph;
use crate::kernels::seeded::{
    Adjacency, BUCKETS, Bipartite, Components, Gammas, LANES, LEVELS, Method, SeededScratch, Tail,
    TopK, Walk, calibrate, top_k,
};
use crate::model::{Column, Rows, Side};
use crate::signals::{Part, RowSource, Scratch, Stage, Step};

/// The graph as the kernel takes it.
pub(super) fn bipartite(graph: &Graph) -> Bipartite<'_> {
    let of = |side| {
        let csr = graph.adjacency(side);
        Adjacency { offsets: &csr.offsets, targets: &csr.targets }
    };
    Bipartite { left: of(Side::Left), right: of(Side::Right) }
}

/// What all rounds share.
pub(super) struct Plan {
    pub(super) graph: Arc<Graph>,
    pub(super) components: Components,
    pub(super) walk: Walk,
    /// The nodes that have rows, ascending; `None` for all.
    pub(super) seeds: Option<Arc<Vec<u32>>>,
    pub(super) notes: Vec<(String, String)>,
}

impl Plan {
    fn top_k(&self, method: &Method, seeds: &[u32], scratch: &mut Scratch) -> Vec<TopK> {
        scratch.with(|scratch: &mut SeededScratch| {
            top_k(bipartite(&self.graph), &self.components, self.walk, method, seeds, scratch)
        })
    }

    /// Blocks of at most `width` of `seeds`, each in one component.
    fn blocks(&self, seeds: &[u32], width: usize) -> Vec<Vec<u32>> {
        let mut seeds = seeds.to_vec();
        seeds.sort_by_key(|&seed| self.components.of_left(seed));
        let same = |&a: &u32, &b: &u32| self.components.of_left(a) == self.components.of_left(b);
        seeds.chunk_by(same).flat_map(|group| group.chunks(width)).map(<[u32]>::to_vec).collect()
    }

    /// Rows by power iteration.
    pub(super) fn exact(self: Arc<Self>, mut notes: Vec<(String, String)>) -> Step {
        notes.push(("method".to_string(), "exact".to_string()));
        Step::Rows(Arc::new(PagerankRows { plan: self, method: Method::Exact, notes }))
    }
}

/// The first round: exact walks. Tasks are the blocks to fit on, then those to measure on.
pub(super) struct FitStage {
    plan: Arc<Plan>,
    target: f64,
    fit: Vec<Vec<u32>>,
    measure: Vec<Vec<u32>>,
}

impl FitStage {
    pub(super) fn new(plan: Arc<Plan>, target: f64, fit: Vec<u32>, measure: Vec<u32>) -> FitStage {
        let fit = plan.blocks(&fit, LANES);
        let measure = plan.blocks(&measure, LANES);
        FitStage { plan, target, fit, measure }
    }
}

impl Stage for FitStage {
    fn tasks(&self) -> usize {
        self.fit.len() + self.measure.len()
    }

    fn run(&self, task: usize, scratch: &mut Scratch) -> Part {
        let plan = &self.plan;
        if let Some(seeds) = self.fit.get(task) {
            let graph = bipartite(&plan.graph);
            return Part::F64(scratch.with(|scratch: &mut SeededScratch| {
                calibrate::fit(graph, &plan.components, plan.walk, seeds, scratch)
            }));
        }
        let seeds = self.measure.get(task - self.fit.len()).map_or(&[][..], Vec::as_slice);
        let mut lists = Vec::new();
        for top in plan.top_k(&Method::Exact, seeds, scratch) {
            lists.push(top.nodes.len() as u32);
            lists.extend(top.nodes);
        }
        Part::U32(lists)
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let mut sums = vec![0.0; calibrate::FIT_SUMS];
        let mut exact = Vec::new();
        for part in parts {
            match part {
                Part::F64(terms) => {
                    for (sum, term) in sums.iter_mut().zip(terms) {
                        *sum += term;
                    }
                }
                Part::U32(lists) => {
                    let mut rest = lists.as_slice();
                    while let Some((&count, after)) = rest.split_first() {
                        let (nodes, after) = after.split_at((count as usize).min(after.len()));
                        exact.push(nodes.to_vec());
                        rest = after;
                    }
                }
                Part::I64(_) => {}
            }
        }
        let measure = self.measure.concat();
        Step::Round(Arc::new(MeasureStage {
            plan: Arc::clone(&self.plan),
            target: self.target,
            level: 0,
            gammas: calibrate::solve(&sums),
            exact: Arc::new(measure.into_iter().zip(exact).collect()),
            tried: Vec::new(),
        }))
    }
}

/// The next rounds: the recall of a number of half-steps. Tasks are blocks of seeds.
struct MeasureStage {
    plan: Arc<Plan>,
    target: f64,
    /// Index into [`LEVELS`].
    level: usize,
    gammas: Arc<Gammas>,
    /// Seeds and their exact results.
    exact: Arc<Vec<(u32, Vec<u32>)>>,
    /// Half-steps and recall of the rounds before.
    tried: Vec<String>,
}

impl MeasureStage {
    fn method(&self) -> Method {
        let tail = Tail { half_steps: LEVELS[self.level], gammas: self.gammas.clone() };
        Method::Truncated { tail, exact_edges: EXACT_EDGES }
    }
}

impl Stage for MeasureStage {
    fn tasks(&self) -> usize {
        self.exact.len().div_ceil(LANES)
    }

    fn run(&self, task: usize, scratch: &mut Scratch) -> Part {
        let block = self.exact.chunks(LANES).nth(task).unwrap_or(&[]);
        let seeds: Vec<u32> = block.iter().map(|(seed, _)| *seed).collect();
        let found = self.plan.top_k(&self.method(), &seeds, scratch);
        let recalls =
            block.iter().zip(&found).map(|((_, exact), found)| calibrate::recall(exact, found));
        Part::F64(recalls.collect())
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let mut recalls = Vec::new();
        for part in parts {
            if let Part::F64(values) = part {
                recalls.extend(values);
            }
        }
        let found = calibrate::measured(&recalls);
        let steps = LEVELS[self.level];
        let k = self.plan.walk.top_k;
        let mut tried = self.tried.clone();
        tried.push(format!("{:.4} with {steps} half-steps", found.mean));
        let mut notes = self.plan.notes.clone();
        notes.push((format!("recall_at_{k}_tried"), tried.join(", ")));
        if found.lower_bound >= self.target {
            let [low, high] = found.ci95;
            notes.extend([
                ("method".to_string(), format!("{steps} half-steps and a fitted tail")),
                ("half_steps".to_string(), steps.to_string()),
                ("tail_gammas_by_degree".to_string(), gammas_text(&self.gammas[self.level])),
                (format!("recall_at_{k}"), format!("{:.4}", found.mean)),
                (format!("recall_at_{k}_ci95"), format!("{low:.4} to {high:.4}")),
                (format!("recall_at_{k}_lower_bound"), format!("{:.4}", found.lower_bound)),
                ("recall_measured_on".to_string(), recalls.len().to_string()),
            ]);
            let plan = Arc::clone(&self.plan);
            return Step::Rows(Arc::new(PagerankRows { plan, method: self.method(), notes }));
        }
        if self.level + 1 == LEVELS.len() {
            return Arc::clone(&self.plan).exact(notes);
        }
        Step::Round(Arc::new(MeasureStage {
            plan: Arc::clone(&self.plan),
            target: self.target,
            level: self.level + 1,
            gammas: self.gammas.clone(),
            exact: Arc::clone(&self.exact),
            tried,
        }))
    }
}

/// The coefficients of a level, after the least degree that they hold for; neighbouring buckets that
/// share theirs are one.
fn gammas_text(gammas: &[[f64; 2]; BUCKETS]) -> String {
    let buckets: Vec<(usize, &[f64; 2])> = gammas.iter().enumerate().collect();
    let same = |a: &(usize, &[f64; 2]), b: &(usize, &[f64; 2])| a.1 == b.1;
    let text = |run: &[(usize, &[f64; 2])]| {
        run.first().map(|&(bucket, [one, two])| format!("{}: {one:.4} {two:.4}", 1u64 << bucket))
    };
    buckets.chunk_by(same).filter_map(text).collect::<Vec<_>>().join(", ")
}

/// The rows.
struct PagerankRows {
    plan: Arc<Plan>,
    method: Method,
    notes: Vec<(String, String)>,
}

impl RowSource for PagerankRows {
    fn nodes(&self, _table: usize) -> Option<Arc<Vec<u32>>> {
        self.plan.seeds.clone()
    }

    fn work(&self, _table: usize, node: u32) -> u64 {
        let graph = &self.plan.graph;
        // Passes that all seeds share, and the seed's own neighbourhood.
        graph.edges() as u64 / LANES as u64 + graph.forward.degree(node) as u64
    }

    fn rows(&self, _table: usize, nodes: &[u32], scratch: &mut Scratch) -> Rows {
        let (mut offsets, mut ids, mut scores) = (vec![0], Vec::new(), Vec::new());
        for top in self.plan.top_k(&self.method, nodes, scratch) {
            ids.extend(top.nodes);
            scores.extend(top.scores);
            offsets.push(ids.len() as u32);
        }
        Rows {
            nodes: nodes.to_vec(),
            columns: vec![
                Column::NodeList { offsets: offsets.clone(), nodes: ids },
                Column::Float32List { offsets, values: scores },
            ],
        }
    }

    fn notes(&self) -> Vec<(String, String)> {
        self.notes.clone()
    }
}
