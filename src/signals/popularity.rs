//! `popularity`: how much a node was acted upon, by action and look-back window.
//!
//! For node `n`, action `a` and window of `d` days before `as_of`, over all admitted events of `n`
//! (also those whose edge was removed, capped or filtered away) of that action with age <= `d`:
//!
//! | column | value |
//! |---|---|
//! | `a_events_d` | number of events |
//! | `a_distinct_OTHERs_d` | number of distinct nodes of the other side among them |
//! | `a_weight_d` | sum of weight(action) x own weight x 2^(-age / half_life) |
//! | `last_event_age_s` | seconds from the latest event of any action to `as_of` |
//!
//! Rows exist for the graph's nodes only. Without a time column the window `all` is the only one
//! that can be told, so the others and the age are absent from the tables. There are no totals
//! over actions: distinct nodes do not add up, and events do in any query.
//!
//! Kernel: [`crate::kernels::aggregate`]. Cost: a pass over the totals.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Feature, GraphSchema, ParamDoc, RowSource, Scratch, Sides, Signal, SignalDoc, Step, parse,
};
use crate::graph::{Graph, Needs};
use crate::kernels::aggregate::{BANDS, Cell, WINDOW_DAYS};
use crate::model::{
    Column, ColumnType, Error, Field, Keys, Result, Rows, Side, Table, fixed_to_f64,
};

/// Default of `windows`.
pub const WINDOWS: [&str; BANDS] = ["1d", "7d", "30d", "all"];

/// The signal.
pub struct Popularity;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Params {
    side: Sides,
    windows: Option<Vec<WindowParam>>,
}

/// A window as people write it: `7`, `"7d"` or `"all"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum WindowParam {
    Days(i64),
    Text(String),
}

impl Default for Params {
    fn default() -> Params {
        Params { side: Sides::Right, windows: None }
    }
}

impl WindowParam {
    /// The index into [`WINDOW_DAYS`].
    fn index(&self) -> Result<usize> {
        let name = match self {
            WindowParam::Days(days) => format!("{days}d"),
            WindowParam::Text(text) => text.clone(),
        };
        WINDOWS.iter().position(|known| *known == name).ok_or_else(|| {
            Error::job(format!("unknown window {name:?}"))
                .column("windows")
                .remedy(format!("there are {}", WINDOWS.join(", ")))
        })
    }
}

impl Signal for Popularity {
    fn name(&self) -> &'static str {
        "popularity"
    }

    fn doc(&self) -> SignalDoc {
        SignalDoc {
            summary: "Events, distinct counterparts and decayed weight of each node, by action and \
                      look-back window, and the age of its latest event.",
            kernel: "aggregate",
            formula: "events(n, a, d) = |{e of n : action a, age <= d days}|; distinct = \
                      |{other end of e}|; weight = sum of weight(a) x weight(e) x 2^(-age / half_life)",
            reference: "counts over admitted events; exponential decay as in Cormode et al., \
                        Forward decay, ICDE 2009",
            params: vec![
                ParamDoc {
                    name: "side",
                    default: "\"right\"".into(),
                    doc: "whose nodes are the rows: left, right, or both (a table each)",
                },
                ParamDoc {
                    name: "windows",
                    default: format!("{WINDOWS:?}"),
                    doc: "look-back windows before as_of; only \"all\" without a time column",
                },
            ],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = parse(params)?;
        let asked = params.windows.is_some();
        let mut windows = match params.windows {
            Some(windows) => windows.iter().map(WindowParam::index).collect::<Result<Vec<_>>>()?,
            None => (0..BANDS).collect(),
        };
        windows.sort_unstable();
        windows.dedup();
        if windows.is_empty() {
            return Err(Error::job("no window").column("windows").remedy("name at least \"all\""));
        }
        Ok(Box::new(Configured { feature: feature.into(), sides: params.side, windows, asked }))
    }
}

/// The signal with its parameters.
#[derive(Clone)]
struct Configured {
    feature: String,
    sides: Sides,
    /// Indices into [`WINDOW_DAYS`], ascending.
    windows: Vec<usize>,
    /// Whether the job names the windows.
    asked: bool,
}

impl Configured {
    /// The windows that can be told apart.
    fn windows(&self, timed: bool) -> Vec<usize> {
        if timed { self.windows.clone() } else { vec![BANDS - 1] }
    }
}

fn fields(schema: &GraphSchema, side: Side, windows: &[usize]) -> Vec<Field> {
    let other = schema.names.of(side.other());
    let mut fields = Vec::new();
    for action in &schema.actions {
        for &window in windows {
            let name = WINDOWS[window];
            let span = match WINDOW_DAYS[window] {
                0 => "the job's whole window".to_string(),
                1 => "the last day".to_string(),
                days => format!("the last {days} days"),
            };
            let mut field = |what: String, column_type, doc: String| {
                fields.push(Field { name: format!("{action}_{what}_{name}"), column_type, doc });
            };
            let int = ColumnType::Int64;
            field("events".into(), int, format!("Events of action {action} in {span}."));
            let doc = format!("Distinct {other} nodes among the {action} events of {span}.");
            field(format!("distinct_{other}s"), int, doc);
            let doc = format!("Sum of the decayed weights of the {action} events of {span}.");
            field("weight".into(), ColumnType::Float64, doc);
        }
    }
    if schema.timed {
        fields.push(Field {
            name: "last_event_age_s".into(),
            column_type: ColumnType::Float64,
            doc: "Seconds from the latest event to as_of, above 0.".into(),
        });
    }
    fields
}

impl Feature for Configured {
    fn tables(&self, schema: &GraphSchema) -> Vec<Table> {
        let windows = self.windows(schema.timed);
        let table = |&side: &Side| Table {
            name: self.sides.table_name(&self.feature, side, &schema.names),
            side,
            fields: fields(schema, side, &windows),
        };
        self.sides.list().iter().map(table).collect()
    }

    fn check(&self, schema: &GraphSchema) -> Result<()> {
        match self.windows.first() {
            Some(&window) if self.asked && !schema.timed && window < BANDS - 1 => {
                Err(Error::job(format!("window {:?} needs a time column", WINDOWS[window]))
                    .column("windows")
                    .remedy("name columns.time, or write windows = [\"all\"]"))
            }
            _ => Ok(()),
        }
    }

    fn needs(&self) -> Needs {
        Needs { events: true, ..Needs::default() }
    }

    fn start(&self, graph: Arc<Graph>, _key_files: &[Keys]) -> Step {
        let timed = graph.events.as_ref().is_some_and(|events| events.timed);
        let windows = self.windows(timed);
        Step::Rows(Arc::new(Source { graph, sides: self.sides, windows, timed }))
    }

    fn explain_row(&self, graph: &Graph, table: usize, rows: &Rows, row: usize) -> String {
        let side = self.sides.list()[table];
        let node = rows.nodes[row];
        let Some(events) = &graph.events else { return String::new() };
        let totals = events.side(side);
        let count = |action| totals.window(node, action, BANDS - 1).events;
        let parts: Vec<String> = events
            .actions
            .iter()
            .enumerate()
            .map(|(action, name)| format!("{} {name}", count(action)))
            .collect();
        let name = graph.names.of(side);
        let key = graph.dictionary(side).key(node);
        let mut text = format!("{name} {key} has events of these actions: {}", parts.join(", "));
        if let Some(age) = totals.last_age_us(node).filter(|_| events.timed) {
            text += &format!("; the latest was {:.1} h before as_of", age as f64 / 3.6e9);
        }
        text
    }
}

struct Source {
    graph: Arc<Graph>,
    sides: Sides,
    windows: Vec<usize>,
    timed: bool,
}

impl RowSource for Source {
    fn nodes(&self, _table: usize) -> Option<Arc<Vec<u32>>> {
        None
    }

    fn work(&self, _table: usize, _node: u32) -> u64 {
        1
    }

    fn rows(&self, table: usize, nodes: &[u32], _scratch: &mut Scratch) -> Rows {
        let mut columns = Vec::new();
        if let Some(events) = &self.graph.events {
            let totals = events.side(self.sides.list()[table]);
            for action in 0..events.actions.len() {
                for &window in &self.windows {
                    let cells: Vec<Cell> =
                        nodes.iter().map(|&node| totals.window(node, action, window)).collect();
                    let ints = |of: fn(&Cell) -> u32| {
                        Column::Int64(cells.iter().map(|cell| Some(i64::from(of(cell)))).collect())
                    };
                    columns.push(ints(|cell| cell.events));
                    columns.push(ints(|cell| cell.distinct));
                    let weight = cells.iter().map(|cell| fixed_to_f64(cell.weight));
                    columns.push(Column::Float64(weight.collect()));
                }
            }
            if self.timed {
                // A kept node has an edge, and an edge has an event: the age is never absent.
                let age = |&node: &u32| totals.last_age_us(node).unwrap_or(0) as f64 / 1e6;
                columns.push(Column::Float64(nodes.iter().map(age).collect()));
            }
        }
        Rows { nodes: nodes.to_vec(), columns }
    }
}
