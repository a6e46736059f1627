//! Signals that compute nothing, and short ways to a job.

use std::path::Path;
use std::sync::Arc;

use pingraph::Error;
use pingraph::graph::{Graph, Needs};
use pingraph::job::{Job, Overrides};
use pingraph::model::{ColumnType, Field, Keys, Result, Rows, Side, Table};
use pingraph::signals::{
    Feature, GraphSchema, KeyFile, ParamDoc, Registry, Signal, SignalDoc, Step, parse,
};

/// A signal whose tables and needs a test chooses.
#[derive(Clone)]
pub struct Fake {
    pub name: &'static str,
    pub needs: Needs,
    /// Suffixes of its tables: `""` for one table.
    pub tables: &'static [&'static str],
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    measure: Measure,
    #[serde(default = "fifty")]
    top_k: u32,
    #[serde(default)]
    seeds: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Measure {
    #[default]
    Count,
    Cosine,
}

fn fifty() -> u32 {
    50
}

impl Signal for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> SignalDoc {
        let param = |name, default: &str, doc| ParamDoc { name, default: default.to_owned(), doc };
        SignalDoc {
            summary: "A signal of the tests.",
            kernel: "two_hop",
            formula: "none",
            reference: "none",
            params: vec![
                param("measure", "\"count\"", "count or cosine"),
                param("top_k", "50", "at least 1"),
                param("seeds", "", "a file of keys"),
            ],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = parse(params)?;
        if params.top_k == 0 {
            return Err(Error::job("0 is too small").column("top_k").remedy("write 1 or more"));
        }
        let _ = matches!(params.measure, Measure::Cosine);
        let feature = feature.to_owned();
        Ok(Box::new(Configured { fake: self.clone(), feature, seeds: params.seeds }))
    }
}

struct Configured {
    fake: Fake,
    feature: String,
    seeds: Option<String>,
}

impl Feature for Configured {
    fn tables(&self, schema: &GraphSchema) -> Vec<Table> {
        let field = Field {
            name: format!("{}_score", schema.names.right),
            column_type: ColumnType::Float32,
            doc: "A score.".to_owned(),
        };
        let named = |suffix: &&str| Table {
            name: format!("{}{suffix}", self.feature),
            side: Side::Right,
            fields: vec![field.clone()],
        };
        self.fake.tables.iter().map(named).collect()
    }

    fn needs(&self) -> Needs {
        self.fake.needs
    }

    fn key_files(&self) -> Vec<KeyFile> {
        let file = |path: &String| KeyFile { path: path.into(), side: Side::Left };
        self.seeds.iter().map(file).collect()
    }

    fn start(&self, _graph: Arc<Graph>, _key_files: &[Keys]) -> Step {
        unreachable!("these tests run no job")
    }

    fn explain_row(&self, _graph: &Graph, _table: usize, _rows: &Rows, _row: usize) -> String {
        unreachable!("these tests run no job")
    }
}

/// `co_engagement` needs nothing, `weighted` needs weights, `popularity` needs totals over events
/// and has a table for each side.
pub fn registry() -> Registry {
    let fake = |name, weights, events, tables| {
        let needs = Needs { weights, events };
        Box::new(Fake { name, needs, tables }) as Box<dyn Signal>
    };
    Registry::of(vec![
        fake("co_engagement", false, false, &[""]),
        fake("popularity", false, true, &["_user", "_pin"]),
        fake("weighted", true, false, &[""]),
    ])
}

/// The shortest job there is; tests add to it and take from it.
pub const SHORT: &str = r#"[job]
name = "short"
as_of = "2026-11-01T00:00:00Z"
[source.parquet]
path = "datasets/sample"
[columns]
left = "user_id"
right = "pin_id"
[features.related_v1.co_engagement]
top_k = 10
[sink.parquet]
"#;

/// The job of `text`, with `--set` of each of `set`.
pub fn load_with(text: &str, set: &[&str], as_of: Option<&str>) -> Result<Job> {
    let overrides = Overrides {
        as_of: as_of.map(str::to_owned),
        set: set.iter().map(|set| (*set).to_owned()).collect(),
    };
    Job::from_toml_with(text, Path::new("jobs/test.toml"), &overrides, &registry())
}

/// The job of `text`.
pub fn load(text: &str) -> Result<Job> {
    load_with(text, &[], None)
}

/// The error of a job that must not load, as people see it.
pub fn error(text: &str) -> String {
    match load(text) {
        Ok(_) => panic!("the job loads:\n{text}"),
        Err(error) => {
            assert_eq!(error.kind, pingraph::ErrorKind::Job);
            error.to_string()
        }
    }
}

/// The error of [`SHORT`] with `from` replaced by `to`.
pub fn error_of(from: &str, to: &str) -> String {
    assert!(SHORT.contains(from), "{from:?} is not in the short job");
    error(&SHORT.replacen(from, to, 1))
}
