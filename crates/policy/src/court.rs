use std::sync::Arc;

use moka::sync::Cache;
use nsl_core::{
    Clock,
    judge::{Judge, Kept, Question, Rules, Verdict},
};

use crate::policies::{Policies, Unreadable};

/// What was read of a text; also that it could not be read is remembered.
type Read = Result<Policies, Unreadable>;

/// So many bytes of texts are kept ready, with what was made of them.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// The judge of a process. What it reads once it keeps, in bounded memory.
pub struct Court {
    clock: Arc<dyn Clock>,
    read: Cache<Arc<str>, Arc<Read>>,
}

impl Court {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let weight = |text: &Arc<str>, _: &Arc<Read>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self { clock, read: Cache::builder().max_capacity(MOST_BYTES).weigher(weight).build() }
    }

    /// The policies of a text that may have been read before.
    pub fn read(&self, text: &Arc<str>) -> Arc<Read> {
        self.read.get_with_by_ref(text, || {
            let read = Policies::read(text);
            if let Err(Unreadable(why)) = &read {
                tracing::error!(why, bytes = text.len(), "the policies of a tenant cannot be read: all is denied");
            }
            Arc::new(read)
        })
    }
}

impl Judge for Court {
    fn judge(&self, rules: &Rules, question: Question<'_>) -> Verdict {
        let kept = rules.kept(|| self.read(&rules.text) as Kept);
        match kept.downcast_ref::<Read>() {
            Some(Ok(policies)) => policies.decide(&question, self.clock.now()),
            Some(Err(Unreadable(why))) => Verdict::Unreadable(why.clone()),
            None => Verdict::Unreadable("another judge read these policies".to_owned()),
        }
    }
}
