//! The progress of the processes that have no terminal of their own: told to process 0, a few times a
//! second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::observe::{Event, Observer};
use super::shared::lock;
use super::team::{Control, Post};

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(200);

/// Hears of a run's progress in this process and tells process 0.
pub(super) struct Forward {
    inner: Arc<dyn Observer>,
    post: Post,
    /// Items done since it was last told, and when that was.
    done: Mutex<(BTreeMap<String, u64>, Instant)>,
}

impl Forward {
    /// `inner` hears of everything but progress, and is asked whether to stop.
    pub fn new(inner: Arc<dyn Observer>, post: Post) -> Forward {
        Forward { inner, post, done: Mutex::new((BTreeMap::new(), Instant::now())) }
    }
}

impl Observer for Forward {
    fn event(&self, event: &Event) {
        match event {
            Event::StageAdvanced { stage, items } => {
                let mut done = lock(&self.done);
                *done.0.entry(stage.clone()).or_default() += items;
                if done.1.elapsed() >= EVERY {
                    done.1 = Instant::now();
                    let stages = std::mem::take(&mut done.0).into_iter().collect();
                    drop(done);
                    self.post.say(Some(0), &Control::Progress(stages));
                }
            }
            Event::Warning(_) => self.inner.event(event),
            Event::StageStarted { .. }
            | Event::StageSized { .. }
            | Event::StageFinished { .. }
            | Event::Resumed { .. } => {}
        }
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }
}
