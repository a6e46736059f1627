//! What a run tells its caller while it runs. The library itself prints nothing.

use std::time::Duration;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stage began; `total` items are to be done, if that is known.
    StageStarted {
        /// Name of the stage, unique in the run.
        stage: String,
        /// Items to be done.
        total: Option<u64>,
        /// What the items are, for example `rows`.
        unit: &'static str,
    },
    /// A stage now knows how many items are to be done from here on.
    StageSized {
        /// Name of the stage.
        stage: String,
        /// Items to be done.
        total: u64,
    },
    /// A stage has done `items` more.
    StageAdvanced {
        /// Name of the stage.
        stage: String,
        /// Items done since the last such event.
        items: u64,
    },
    /// A stage ended.
    StageFinished {
        /// Name of the stage.
        stage: String,
        /// Wall time since it began.
        wall: Duration,
    },
    /// Something that the caller should know but that stops nothing.
    Warning(String),
    /// A table is taken up from an earlier attempt at the run.
    Resumed {
        /// Its name.
        table: String,
    },
}

/// Receives the events of a run, from any worker.
pub trait Observer: Send + Sync {
    /// Called for each event; it should return quickly.
    fn event(&self, event: &Event);

    /// Asked between pieces of work; `true` stops the run, which then publishes nothing.
    fn interrupted(&self) -> bool {
        false
    }
}

/// An observer that does nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}
