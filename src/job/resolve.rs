//! From the job as typed to the job as meant: the only validator.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::places::{Places, suggestion};
use super::sources::{self, Opened};
use super::spec::{self, ColumnsSpec, GraphSpec, SinkSpec, Spec};
use super::{FeaturePlan, GraphRules, Job};
use crate::model::{
    ActionRule, Columns, Error, Result, ScanRequest, SideNames, WEIGHT_MAX, fixed_from_f64,
    parse_duration, parse_timestamp,
};
use crate::signals::{GraphSchema, Registry};

/// What `resolve` looks things up in.
pub(super) struct Context<'a> {
    /// Where the keys stand.
    pub places: &'a Places,
    /// The signals there are.
    pub registry: &'a Registry,
    /// A source that was given in code, in place of `[source.KIND]`.
    pub source: Option<Opened>,
}

/// Checks `spec`, fills in the defaults and looks up source and signals.
pub(super) fn resolve(spec: &Spec, context: &Context<'_>) -> Result<Job> {
    let places = context.places;
    let name = name(spec, places)?;
    let as_of_us = as_of(spec, places)?;
    let rejects_max = share(spec, places)?;
    let opened = source(spec, context)?;
    let columns = columns(spec, opened.synthetic, places)?;
    let actions = actions(&spec.graph, &columns, places)?;
    let (graph, window_us) = graph(&spec.graph, &columns, places)?;
    let out = sink(spec, &name, places)?;
    // The column of actions is read only if the job weighs them.
    let action = columns.action.clone().filter(|_| !actions.is_empty());
    let scan = ScanRequest {
        columns: Columns { action, ..columns },
        as_of_us,
        window_us,
        actions,
        keep_age_action: false,
    };
    let mut job = Job {
        name,
        as_of_us,
        rejects_max,
        source: opened.source,
        source_label: opened.label,
        scan,
        graph,
        features: Vec::new(),
        out,
        canonical: String::new(),
    };
    for (name, table) in &spec.features {
        job.features.push(feature(name, table, context)?);
    }
    if job.features.is_empty() {
        return Err(places
            .error("features", "the job has no features")
            .remedy("add one, for example [features.related_v1.co_engagement]"));
    }
    let schema = job.schema();
    for plan in &job.features {
        let key = format!("features.{}.{}", plan.name, plan.signal);
        plan.feature.check(&schema).map_err(|error| places.adopt(&key, error))?;
    }
    distinct_tables(&job.features, &schema, places)?;
    job.scan.keep_age_action = job.edge_rules().reads_age_action();
    job.canonical = canonical(&job, &opened.canonical)?;
    Ok(job)
}

/// `text` as a part of a folder's, table's or column's name: `[A-Za-z][A-Za-z0-9_]*`.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn name(spec: &Spec, places: &Places) -> Result<String> {
    const KEY: &str = "job.name";
    let Some(name) = &spec.job.name else {
        return Err(places
            .error(KEY, "the job has no name")
            .remedy("set job.name, for example \"related_pins\""));
    };
    let plain = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && name.len() <= 100;
    if !plain {
        return Err(places.error(KEY, format!("{name:?} is not a plain folder name")).remedy(
            "use at most 100 letters, digits, `_`, `-` and `.`, and begin with a letter or digit",
        ));
    }
    Ok(name.clone())
}

fn as_of(spec: &Spec, places: &Places) -> Result<i64> {
    const KEY: &str = "job.as_of";
    let Some(text) = &spec.job.as_of else {
        return Err(places
            .error(KEY, "the job has no as_of")
            .remedy("set job.as_of or pass --as-of 2026-11-01T00:00:00Z"));
    };
    // Ages of events must fit in 55 bits of microseconds, and dates in four digits.
    match parse_timestamp(text) {
        Some(us) if (0..=253_402_300_799_999_999).contains(&us) => Ok(us),
        Some(_) => Err(places.error(KEY, format!("{text} is outside the years 1970 to 9999"))),
        None => Err(places
            .error(KEY, format!("{text:?} is not a time"))
            .remedy("write ISO 8601, for example 2026-11-01T00:00:00Z")),
    }
}

fn share(spec: &Spec, places: &Places) -> Result<f64> {
    let share = spec.job.rejects_max.unwrap_or(spec::REJECTS_MAX);
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(places
            .error("job.rejects_max", format!("{share} is not a share"))
            .remedy("write a number from 0 (no bad row) to 1 (any number of them)")),
    }
}

fn source(spec: &Spec, context: &Context<'_>) -> Result<Opened> {
    match (&context.source, &spec.source) {
        (Some(opened), _) => Ok(opened.clone()),
        (None, Some(source)) => sources::open(source, context.places),
        (None, None) => Err(context
            .places
            .error("source", "the job has no source")
            .remedy("add [source.parquet], [source.csv], [source.jsonl] or [source.synthetic]")),
    }
}

fn columns(spec: &Spec, synthetic: bool, places: &Places) -> Result<Columns> {
    let generated = spec::synthetic_columns();
    let columns: &ColumnsSpec = match &spec.columns {
        Some(columns) => columns,
        None if synthetic => &generated,
        None => {
            return Err(places
                .error("columns", "the job does not name its columns")
                .remedy("add [columns] with left and right, for example left = \"user_id\""));
        }
    };
    let needed = |key: &str, column: &Option<String>, example: &str| match column {
        Some(column) => Ok(column.clone()),
        None => Err(places
            .error(&format!("columns.{key}"), format!("the job does not name its {key} column"))
            .remedy(format!("set columns.{key}, for example \"{example}\""))),
    };
    let left = needed("left", &columns.left, "user_id")?;
    let right = needed("right", &columns.right, "pin_id")?;
    let named = [
        ("left", Some(&left)),
        ("right", Some(&right)),
        ("action", columns.action.as_ref()),
        ("time", columns.time.as_ref()),
        ("weight", columns.weight.as_ref()),
    ];
    let mut seen = BTreeMap::new();
    for (key, column) in named.into_iter().filter_map(|(key, column)| Some((key, column?))) {
        if column.is_empty() {
            return Err(places
                .error(&format!("columns.{key}"), "the column's name is empty")
                .remedy("name a column of the input, or remove the key"));
        }
        if let Some(other) = seen.insert(column, key) {
            let what = format!("`{column}` is the {other} column too");
            return Err(places
                .error(&format!("columns.{key}"), what)
                .remedy("each column has one meaning"));
        }
    }
    if columns.time_unit.is_some() && columns.time.is_none() {
        return Err(places
            .error("columns.time_unit", "a unit of time without a time column")
            .remedy("set columns.time"));
    }
    Ok(columns.columns(left, right))
}

/// The rules of the actions, in ascending order of name.
fn actions(
    graph: &GraphSpec,
    columns: &Columns,
    places: &Places,
) -> Result<Vec<(String, ActionRule)>> {
    const KEY: &str = "graph.actions";
    if graph.actions.is_empty() {
        return Ok(Vec::new());
    }
    if columns.action.is_none() {
        return Err(places
            .error(KEY, "actions have weights, but no column holds them")
            .remedy("set columns.action, or remove [graph.actions]"));
    }
    if graph.actions.len() > spec::ACTIONS_MAX {
        let what = format!("{} actions are too many", graph.actions.len());
        let remedy = format!("a job may name {}; others are ignored", spec::ACTIONS_MAX);
        return Err(places.error(KEY, what).remedy(remedy));
    }
    let mut actions = Vec::new();
    for (name, value) in &graph.actions {
        let rule = match value {
            toml::Value::String(word) if word == "remove" => Some(ActionRule::Remove),
            toml::Value::Integer(weight) => weight_rule(*weight as f64),
            toml::Value::Float(weight) => weight_rule(*weight),
            _ => None,
        };
        let Some(rule) = rule else {
            return Err(places
                .error(&format!("{KEY}.{name}"), format!("{value} is not the weight of an action"))
                .remedy("write a number from 0 to 1000000, or \"remove\""));
        };
        actions.push((name.clone(), rule));
    }
    if actions.iter().all(|(_, rule)| *rule == ActionRule::Remove) {
        return Err(places
            .error(KEY, "every action removes, so that no edge can be")
            .remedy("give at least one action a weight"));
    }
    Ok(actions)
}

fn weight_rule(weight: f64) -> Option<ActionRule> {
    let fits = (0.0..=WEIGHT_MAX).contains(&weight);
    fits.then(|| ActionRule::Weight(fixed_from_f64(weight)))
}

/// The graph's rules, and the window in microseconds.
fn graph(
    graph: &GraphSpec,
    columns: &Columns,
    places: &Places,
) -> Result<(GraphRules, Option<i64>)> {
    let side = |key: &str, name: &Option<String>, default: &str| {
        let name = name.clone().unwrap_or_else(|| default.to_owned());
        match is_identifier(&name) {
            true => Ok(name),
            false => Err(places
                .error(&format!("graph.{key}"), format!("{name:?} is not a plain name"))
                .remedy("begin with a letter and use letters, digits and `_`")),
        }
    };
    let left = side("left", &graph.left, spec::LEFT_NAME)?;
    let right = side("right", &graph.right, spec::RIGHT_NAME)?;
    if left == right {
        let what = format!("both sides are called `{left}`");
        return Err(places.error("graph.right", what).remedy("give them different names"));
    }
    let timed = columns.time.is_some();
    let window_us = duration("window", &graph.window, timed, places)?;
    let half_life_us = duration("half_life", &graph.half_life, timed, places)?;
    let at_least_one = |key: &str, value: Option<u32>| match value {
        Some(0) => {
            Err(places.error(&format!("graph.{key}"), "0 is too small").remedy("write 1 or more"))
        }
        _ => Ok(value),
    };
    let left_degree_max = at_least_one("left_degree_max", graph.left_degree_max)?;
    let left_degree_min = at_least_one("left_degree_min", graph.left_degree_min)?;
    let right_degree_min = at_least_one("right_degree_min", graph.right_degree_min)?;
    let left_degree_min = left_degree_min.unwrap_or(spec::DEGREE_MIN);
    if let Some(max) = left_degree_max.filter(|max| *max < left_degree_min) {
        let what = format!("{max} is below left_degree_min, {left_degree_min}");
        return Err(places
            .error("graph.left_degree_max", what)
            .remedy("no left node could have so many edges; raise it"));
    }
    let rules = GraphRules {
        names: SideNames { left, right },
        half_life_us,
        left_degree_max,
        left_degree_min,
        right_degree_min: right_degree_min.unwrap_or(spec::DEGREE_MIN),
    };
    Ok((rules, window_us))
}

fn duration(key: &str, text: &Option<String>, timed: bool, places: &Places) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let dotted = format!("graph.{key}");
    if !timed {
        return Err(places
            .error(&dotted, format!("{key} needs a time column"))
            .remedy(format!("set columns.time, or remove {key}")));
    }
    parse_duration(text).map(Some).map_err(|error| places.restate(&dotted, error))
}

fn sink(spec: &Spec, name: &str, places: &Places) -> Result<PathBuf> {
    match &spec.sink {
        Some(SinkSpec::Parquet(parquet)) => match parquet.path.as_deref().map(str::trim) {
            Some("") => Err(places
                .error("sink.parquet.path", "the path is empty")
                .remedy(format!("name a folder; by default it is {}/{name}", spec::OUT_ROOT))),
            Some(path) => Ok(PathBuf::from(path)),
            None => Ok(PathBuf::from(spec::OUT_ROOT).join(name)),
        },
        None => Err(places.error("sink", "the job has no sink").remedy(format!(
            "add [sink.parquet]; its path is {}/{name} by default",
            spec::OUT_ROOT
        ))),
    }
}

/// The feature `name`, whose table is `table`.
fn feature(name: &str, table: &toml::Table, context: &Context<'_>) -> Result<FeaturePlan> {
    let places = context.places;
    let key = format!("features.{name}");
    if !is_identifier(name) {
        return Err(places
            .error(&key, format!("{name:?} is not a plain name"))
            .remedy("begin with a letter and use letters, digits and `_`"));
    }
    let signals: Vec<&str> = context.registry.iter().map(|signal| signal.name()).collect();
    let mut entries = table.iter();
    let (signal, params) = match (entries.next(), entries.next()) {
        (Some((signal, toml::Value::Table(params))), None) => (signal, params),
        (Some((first, toml::Value::Table(_))), Some((second, toml::Value::Table(_)))) => {
            return Err(places
                .error(&key, format!("the feature has two signals, {first} and {second}"))
                .remedy("a feature has one signal; give each a name of its own"));
        }
        _ => {
            return Err(places.error(&key, "the feature names no signal").remedy(format!(
                "write [features.{name}.SIGNAL] with one of {}",
                signals.join(", ")
            )));
        }
    };
    let key = format!("{key}.{signal}");
    let Some(found) = context.registry.iter().find(|known| known.name() == signal) else {
        return Err(places
            .error(&key, format!("unknown signal `{signal}`"))
            .remedy(suggestion(signal, &signals)));
    };
    let feature =
        found.configure(name, params.clone()).map_err(|error| places.adopt(&key, error))?;
    let mut settings = params.clone();
    for param in found.doc().params {
        let typed = format!("{} = {}", param.name, param.default).parse::<toml::Table>();
        if let Some(default) = typed.ok().and_then(|mut table| table.remove(param.name)) {
            settings.entry(param.name).or_insert(default);
        }
    }
    let typed: Vec<String> = params.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    Ok(FeaturePlan {
        name: name.to_owned(),
        signal: signal.clone(),
        feature: Arc::from(feature),
        params: typed.join(", "),
        settings,
    })
}

/// No two features may publish to one folder.
fn distinct_tables(features: &[FeaturePlan], schema: &GraphSchema, places: &Places) -> Result<()> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for plan in features {
        for table in plan.feature.tables(schema) {
            if let Some(owner) = owners.insert(table.name.clone(), &plan.name) {
                let what = format!("feature `{owner}` publishes a table `{}` too", table.name);
                return Err(places
                    .error(&format!("features.{}", plan.name), what)
                    .remedy("rename one of the two features"));
            }
        }
    }
    Ok(())
}

/// Everything that can change a feature's bytes, and nothing else.
#[derive(Serialize)]
struct Canonical<'a> {
    source: &'a str,
    columns: [Option<&'a str>; 5],
    types: String,
    as_of_us: i64,
    window_us: Option<i64>,
    names: [&'a str; 2],
    half_life_us: Option<i64>,
    left_degree_max: Option<u32>,
    left_degree_min: u32,
    right_degree_min: u32,
    actions: Vec<(&'a str, Option<i64>)>,
    features: Vec<(&'a str, &'a str, &'a toml::Table)>,
}

fn canonical(job: &Job, source: &str) -> Result<String> {
    let columns = &job.scan.columns;
    let rules = &job.graph;
    let actions = job.scan.actions.iter().map(|(name, rule)| match rule {
        ActionRule::Weight(weight) => (name.as_str(), Some(*weight)),
        ActionRule::Remove => (name.as_str(), None),
    });
    let features = job.features.iter().map(|plan| {
        let FeaturePlan { name, signal, settings, .. } = plan;
        (name.as_str(), signal.as_str(), settings)
    });
    let canonical = Canonical {
        source,
        columns: [
            Some(&columns.left),
            Some(&columns.right),
            columns.action.as_deref(),
            columns.time.as_deref(),
            columns.weight.as_deref(),
        ],
        types: format!("{:?} {:?} {:?}", columns.left_type, columns.right_type, columns.time_unit),
        as_of_us: job.as_of_us,
        window_us: job.scan.window_us,
        names: [&rules.names.left, &rules.names.right],
        half_life_us: rules.half_life_us,
        left_degree_max: rules.left_degree_max,
        left_degree_min: rules.left_degree_min,
        right_degree_min: rules.right_degree_min,
        actions: actions.collect(),
        features: features.collect(),
    };
    serde_json::to_string(&canonical).map_err(|error| Error::engine(error.to_string()))
}
