//! A job built in code. It goes through the same checks as a job file.

use std::path::PathBuf;
use std::sync::Arc;

use super::Job;
use super::places::Places;
use super::resolve::{Context, resolve};
use super::sources::Opened;
use super::spec::{
    ColumnsSpec, CsvSpec, JsonlSpec, KeyTypeSpec, ParquetSinkSpec, ParquetSpec, SinkSpec,
    SourceSpec, Spec, TimeUnitSpec,
};
use crate::model::{Error, KeyType, Result, TimeUnit};
use crate::signals::Registry;
use crate::source::Source;

impl Job {
    /// A job to fill in; what is not said has the defaults of docs/jobs.md.
    ///
    /// ```
    /// use pingraph::job::Job;
    ///
    /// let mut params = toml::Table::new();
    /// params.insert("iterations".to_owned(), 10.into());
    /// let job = Job::builder()
    ///     .name("pin_rank")
    ///     .as_of("2026-11-01T00:00:00Z")
    ///     .parquet("datasets/sample")
    ///     .columns("user_id", "pin_id")
    ///     .time_column("event_time")
    ///     .window("90d")
    ///     .feature("pin_rank_v1", "pagerank", params)
    ///     .build()?;
    /// assert_eq!(job.out, std::path::Path::new("out/pin_rank"));
    /// # Ok::<(), pingraph::Error>(())
    /// ```
    pub fn builder() -> JobBuilder {
        JobBuilder::default()
    }
}

/// A job to fill in; see [`Job::builder`]. A method called twice keeps what was said last.
#[derive(Clone, Default)]
pub struct JobBuilder {
    spec: Spec,
    source: Option<Opened>,
    mistake: Option<Error>,
}

impl JobBuilder {
    /// The job's name, a plain folder name. Needed.
    pub fn name(mut self, name: impl Into<String>) -> JobBuilder {
        self.spec.job.name = Some(name.into());
        self
    }

    /// Events at or after this ISO 8601 time are invisible. Needed.
    pub fn as_of(mut self, time: impl Into<String>) -> JobBuilder {
        self.spec.job.as_of = Some(time.into());
        self
    }

    /// Share of bad rows, 0 to 1, above which the job fails.
    pub fn rejects_max(mut self, share: f64) -> JobBuilder {
        self.spec.job.rejects_max = Some(share);
        self
    }

    /// Reads Parquet: a file, a folder or a glob.
    pub fn parquet(self, path: impl Into<String>) -> JobBuilder {
        self.read(SourceSpec::Parquet(ParquetSpec { path: path.into() }))
    }

    /// Reads CSV or TSV: a file, a folder or a glob, with the delimiter of the file's extension.
    pub fn csv(self, path: impl Into<String>) -> JobBuilder {
        self.read(SourceSpec::Csv(CsvSpec { path: path.into(), delimiter: None }))
    }

    /// Reads JSON lines: a file, a folder or a glob.
    pub fn jsonl(self, path: impl Into<String>) -> JobBuilder {
        self.read(SourceSpec::Jsonl(JsonlSpec { path: path.into() }))
    }

    /// Reads generated events; `spec` has the keys of `[source.synthetic]`.
    pub fn synthetic(self, spec: toml::Table) -> JobBuilder {
        self.read(SourceSpec::Synthetic(spec))
    }

    /// Reads a source of the caller's. `label` stands for it in `explain` and must tell it from
    /// other sources, since the run's id is made of it and of the input files.
    pub fn source(mut self, label: impl Into<String>, source: Arc<dyn Source>) -> JobBuilder {
        let label = label.into();
        let canonical = format!("custom {label}");
        self.source = Some(Opened { source, label, canonical, synthetic: false });
        self
    }

    /// What the input calls the left and the right key.
    pub fn columns(mut self, left: impl Into<String>, right: impl Into<String>) -> JobBuilder {
        let columns = self.columns_mut();
        columns.left = Some(left.into());
        columns.right = Some(right.into());
        self
    }

    /// What the input calls the action.
    pub fn action_column(mut self, column: impl Into<String>) -> JobBuilder {
        self.columns_mut().action = Some(column.into());
        self
    }

    /// What the input calls the event time.
    pub fn time_column(mut self, column: impl Into<String>) -> JobBuilder {
        self.columns_mut().time = Some(column.into());
        self
    }

    /// Unit of integer times.
    pub fn time_unit(mut self, unit: TimeUnit) -> JobBuilder {
        self.columns_mut().time_unit = Some(match unit {
            TimeUnit::Second => TimeUnitSpec::Second,
            TimeUnit::Millisecond => TimeUnitSpec::Millisecond,
            TimeUnit::Microsecond => TimeUnitSpec::Microsecond,
            TimeUnit::Nanosecond => TimeUnitSpec::Nanosecond,
        });
        self
    }

    /// What the input calls the weight.
    pub fn weight_column(mut self, column: impl Into<String>) -> JobBuilder {
        self.columns_mut().weight = Some(column.into());
        self
    }

    /// Types of the left and the right keys in text formats.
    pub fn key_types(mut self, left: KeyType, right: KeyType) -> JobBuilder {
        let typed = |key_type| match key_type {
            KeyType::Int64 => KeyTypeSpec::Int64,
            KeyType::Utf8 => KeyTypeSpec::Utf8,
        };
        let columns = self.columns_mut();
        columns.left_type = Some(typed(left));
        columns.right_type = Some(typed(right));
        self
    }

    /// What the sides are called in the output.
    pub fn sides(mut self, left: impl Into<String>, right: impl Into<String>) -> JobBuilder {
        self.spec.graph.left = Some(left.into());
        self.spec.graph.right = Some(right.into());
        self
    }

    /// How far back events count, for example `90d`.
    pub fn window(mut self, duration: impl Into<String>) -> JobBuilder {
        self.spec.graph.window = Some(duration.into());
        self
    }

    /// After how long an event weighs half, for example `30d`.
    pub fn half_life(mut self, duration: impl Into<String>) -> JobBuilder {
        self.spec.graph.half_life = Some(duration.into());
        self
    }

    /// Edges that a left node keeps, the most recent.
    pub fn left_degree_max(mut self, edges: u32) -> JobBuilder {
        self.spec.graph.left_degree_max = Some(edges);
        self
    }

    /// Left nodes with fewer edges are dropped.
    pub fn left_degree_min(mut self, edges: u32) -> JobBuilder {
        self.spec.graph.left_degree_min = Some(edges);
        self
    }

    /// Right nodes with fewer edges are dropped.
    pub fn right_degree_min(mut self, edges: u32) -> JobBuilder {
        self.spec.graph.right_degree_min = Some(edges);
        self
    }

    /// The weight of an action, 0 or more.
    pub fn action(mut self, name: impl Into<String>, weight: f64) -> JobBuilder {
        self.spec.graph.actions.insert(name.into(), toml::Value::Float(weight));
        self
    }

    /// An action that removes its edge when it is the pair's latest event.
    pub fn removing_action(mut self, name: impl Into<String>) -> JobBuilder {
        self.spec.graph.actions.insert(name.into(), toml::Value::String("remove".to_owned()));
        self
    }

    /// Adds a feature of `signal`, with the parameters that a job file would hold in
    /// `[features.NAME.SIGNAL]`.
    pub fn feature(
        mut self,
        name: impl Into<String>,
        signal: impl Into<String>,
        params: toml::Table,
    ) -> JobBuilder {
        let name = name.into();
        let mut table = toml::Table::new();
        table.insert(signal.into(), toml::Value::Table(params));
        if self.spec.features.insert(name.clone(), table).is_some() && self.mistake.is_none() {
            let mistake = Error::job(format!("a second feature named `{name}`"));
            self.mistake = Some(
                mistake
                    .column(format!("features.{name}"))
                    .remedy("give each feature a name of its own"),
            );
        }
        self
    }

    /// Root of the output.
    pub fn out(mut self, path: impl Into<PathBuf>) -> JobBuilder {
        let path = path.into().into_os_string().into_string();
        match path {
            Ok(path) => {
                self.spec.sink = Some(SinkSpec::Parquet(ParquetSinkSpec { path: Some(path) }));
            }
            Err(path) => {
                let mistake = Error::job(format!("{} is not UTF-8", path.display()));
                self.mistake.get_or_insert(mistake.column("sink.parquet.path"));
            }
        }
        self
    }

    /// The job, checked as a job file is.
    ///
    /// # Errors
    /// When any part of it is missing or wrong; the error names the key that a job file would have.
    pub fn build(self) -> Result<Job> {
        self.build_with(&Registry::default())
    }

    /// As [`JobBuilder::build`], with signals of the caller's.
    ///
    /// # Errors
    /// As [`JobBuilder::build`].
    pub fn build_with(self, registry: &Registry) -> Result<Job> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let mut spec = self.spec;
        spec.sink.get_or_insert(SinkSpec::Parquet(ParquetSinkSpec::default()));
        let places = Places::default();
        resolve(&spec, &Context { places: &places, registry, source: self.source })
    }

    fn read(mut self, source: SourceSpec) -> JobBuilder {
        self.source = None;
        self.spec.source = Some(source);
        self
    }

    fn columns_mut(&mut self) -> &mut ColumnsSpec {
        self.spec.columns.get_or_insert_with(ColumnsSpec::default)
    }
}
