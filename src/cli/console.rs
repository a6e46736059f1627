//! What is written to standard error while a command runs: a progress bar on a terminal, or a JSON
//! object a line.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};

use crate::engine::{Event, Observer, Report};
use crate::model::Error;

/// Interrupts that follow one another within this time are one.
const SAME_INTERRUPT: Duration = Duration::from_millis(500);

/// Standard error, shared with the workers.
#[derive(Clone)]
pub struct Console(Arc<State>);

struct State {
    json: bool,
    quiet: bool,
    terminal: bool,
    bar: Mutex<Option<(String, ProgressBar)>>,
    interrupted: AtomicBool,
    /// Ends the process.
    abort: fn(),
}

impl Console {
    /// A console that logs JSON or text; `quiet` leaves only errors.
    pub fn new(json: bool, quiet: bool, abort: fn()) -> Console {
        let terminal = std::io::stderr().is_terminal();
        let bar = Mutex::new(None);
        let interrupted = AtomicBool::new(false);
        Console(Arc::new(State { json, quiet, terminal, bar, interrupted, abort }))
    }

    /// Makes the first Ctrl-C (or SIGTERM) stop the run in good order; a second one calls `abort`.
    pub fn catch_interrupt(&self) {
        let (state, mut first) = (self.0.clone(), None::<Instant>);
        // Without a handler the process ends at once, and the next run cleans up.
        let _ = ctrlc::set_handler(move || {
            state.interrupted.store(true, Ordering::Relaxed);
            // One that follows at once is the same: it came to the whole group and by the launcher, or
            // from each thread of a launcher that dies.
            if first.get_or_insert_with(Instant::now).elapsed() > SAME_INTERRUPT {
                (state.abort)();
            }
        });
    }

    /// Logs that a run has ended, if there is a log.
    pub fn finished(&self, report: &Report) {
        if self.0.json && !self.0.quiet {
            let tables = report.features.iter().map(|feature| {
                json!({"table": feature.table, "rows": feature.rows, "path": feature.path})
            });
            self.line(&json!({
                "level": "info", "event": "run_finished", "job": report.job,
                "rows_read": report.scan.rows_read, "rows_rejected": report.scan.rows_rejected,
                "rows_used": report.scan.rows_admitted, "left_nodes": report.left_nodes,
                "right_nodes": report.right_nodes, "edges": report.edges,
                "tables": tables.collect::<Vec<_>>(), "rejects": report.rejects,
                "wall_s": report.wall.as_secs_f64(),
                "peak_memory_bytes": report.peak_memory_bytes,
                "processes": report.processes.len(),
                "sent_bytes": report.processes.iter().map(|p| p.sent_bytes).sum::<u64>(),
                "stages": report.stages,
            }));
        }
    }

    /// Logs a line that is neither progress nor an error.
    pub fn note(&self, line: &str) {
        if self.0.quiet {
            return;
        }
        match self.0.json {
            true => self.line(&json!({"level": "info", "event": "note", "message": line})),
            false => self.raw(line),
        }
    }

    /// Writes a line as it is, past the bar.
    pub fn raw(&self, line: &str) {
        let bar = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match bar.as_ref() {
            Some((_, bar)) if self.0.terminal => bar.println(line),
            _ => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Reports the error that ends the command.
    pub fn error(&self, error: &Error) {
        self.clear_bar();
        if self.0.json {
            let kind = format!("{:?}", error.kind).to_lowercase();
            self.line(&json!({"level": "error", "kind": kind, "message": error.to_string()}));
        } else {
            let _ = writeln!(std::io::stderr(), "error: {error}");
        }
    }

    fn clear_bar(&self) {
        let mut bar = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bar)) = bar.take() {
            bar.finish_and_clear();
        }
    }

    /// One JSON line, with the time of day.
    fn line(&self, value: &Value) {
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let mut object = serde_json::Map::from_iter([("time".to_string(), Value::from(time))]);
        if let Value::Object(fields) = value {
            object.extend(fields.clone());
        }
        let _ = writeln!(std::io::stderr(), "{}", Value::Object(object));
    }

    fn log(&self, event: &Event) {
        match event {
            Event::StageStarted { stage, total, unit } => self.line(&json!({
                "level": "info", "event": "stage_started", "stage": stage, "total": total,
                "unit": unit,
            })),
            Event::StageAdvanced { .. } | Event::StageSized { .. } => {}
            Event::StageFinished { stage, wall } => self.line(&json!({
                "level": "info", "event": "stage_finished", "stage": stage,
                "wall_s": wall.as_secs_f64(),
            })),
            Event::Resumed { table } => {
                self.line(&json!({"level": "info", "event": "resumed", "table": table}));
            }
            Event::Warning(message) => {
                self.line(&json!({"level": "warn", "event": "warning", "message": message}));
            }
        }
    }

    fn show(&self, event: &Event) {
        let mut bar = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StageStarted { stage, total, unit } => {
                if let Some((_, old)) = bar.take() {
                    old.finish_and_clear();
                }
                let new = ProgressBar::new(total.unwrap_or(0)).with_style(style(total.is_some()));
                new.set_message(stage.clone());
                new.set_prefix(*unit);
                *bar = Some((stage.clone(), new));
            }
            Event::StageSized { stage, total } => {
                if let Some((_, bar)) = bar.as_ref().filter(|(name, _)| name == stage) {
                    bar.reset();
                    bar.set_length(*total);
                    bar.set_style(style(true));
                }
            }
            Event::StageAdvanced { stage, items } => {
                if let Some((_, bar)) = bar.as_ref().filter(|(name, _)| name == stage) {
                    bar.inc(*items);
                }
            }
            Event::StageFinished { stage, .. } => {
                if bar.as_ref().is_some_and(|(name, _)| name == stage)
                    && let Some((_, old)) = bar.take()
                {
                    old.finish_and_clear();
                }
            }
            Event::Resumed { table } => {
                let line = format!("{table} is taken up from an earlier attempt");
                match bar.as_ref() {
                    Some((_, bar)) => bar.println(line),
                    None => drop(writeln!(std::io::stderr(), "{line}")),
                }
            }
            Event::Warning(message) => match bar.as_ref() {
                Some((_, bar)) => bar.println(format!("warning: {message}")),
                None => drop(writeln!(std::io::stderr(), "warning: {message}")),
            },
        }
    }
}

/// Stage, bar, items, items a second and time left; without the last where no total is known.
fn style(sized: bool) -> ProgressStyle {
    let template = match sized {
        true => "{msg:16} {wide_bar} {human_pos}/{human_len} {prefix} {speed}/s {eta} left",
        false => "{msg:16} {spinner} {human_pos} {prefix} {speed}/s",
    };
    let style = ProgressStyle::with_template(template);
    let speed = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
    };
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("speed", speed)
}

impl Observer for Console {
    fn event(&self, event: &Event) {
        if self.0.quiet {
            // Only errors are wanted.
        } else if self.0.json {
            self.log(event);
        } else if self.0.terminal || matches!(event, Event::Warning(_) | Event::Resumed { .. }) {
            self.show(event);
        }
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::Relaxed)
    }
}
