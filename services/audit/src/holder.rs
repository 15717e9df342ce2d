//! This service's part in what persons ask about their data. The trail stays as it is, or it would be no evidence:
//! what is personal in it is sealed under the person's data keys, and can't be read when these are destroyed.

use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::privacy::{DataOutcome, DataTask};
use nsl_core::Result;
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_ledger::{Ledger, Search};
use nsl_privacy::{Copy, Holder};
use serde_json::json;

const PAGE: u32 = 200;

struct Trail {
    ledger: Ledger,
    keyring: Keyring,
}

/// Takes part in what persons ask about their data on the whole platform.
pub fn hold(ledger: Ledger, queue: Queue, blobs: Blobs, keyring: Keyring, tasks: &Tasks) {
    let parts = nsl_privacy::Parts { queue, blobs, keyring: keyring.clone() };
    nsl_privacy::serve("audit", Arc::new(Trail { ledger, keyring }), parts, tasks);
}

#[async_trait]
impl Holder for Trail {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        let Some(subject) = &task.subject else { return Ok(()) };
        let mut after = None;
        loop {
            let search = Search {
                subject: Some(subject.as_str().to_owned()),
                to: Some(task.cutoff),
                limit: PAGE,
                after: after.clone(),
                ..Search::default()
            };
            let found = self.ledger.search(&task.tenant, search).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.id.clone());
            for entry in &found {
                let seen = json!({
                    "what": "audit entry", "id": entry.id, "event": entry.event_type, "at": entry.created_at,
                    "address": entry.ip_address, "agent": entry.user_agent, "personal": entry.personal,
                    "request": entry.request_data, "response": entry.response_data,
                });
                copy.add(&seen).await?;
            }
        }
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        // The keys go with what they seal elsewhere; here they are but not to be remembered.
        if let Some(subject) = &task.subject {
            self.keyring.forget(&task.tenant, subject);
        }
        Ok(DataOutcome::default())
    }
}
