use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use nsl_api::{
    Page,
    audit::{Audit, AuditEntry, Refuse, Refused, SearchAudit, Verdict, VerifyAudit},
};
use nsl_core::{Code, Cx, Error, Facts, PrincipalKind, Result, TenantId};
use nsl_ledger::{ChainKey, Found, Ledger, Refusal, Search};
use nsl_sql::Db;
use parking_lot::Mutex;
use serde_json::Value;

pub(crate) const LONGEST_PAGE: u32 = 1_000;
const MOST_REFUSALS: usize = 10_000;

/// How many chains are walked at once in this process: a walk reads all that a tenant ever did.
const WALKS: usize = 2;

pub(crate) struct Service {
    db: Db,
    ledger: Ledger,
    key: ChainKey,
    walking: Mutex<HashSet<TenantId>>,
}

impl Service {
    pub(crate) fn new(db: Db, ledger: Ledger, key: ChainKey) -> Self {
        Self { db, ledger, key, walking: Mutex::default() }
    }
}

/// A turn to walk, one for each tenant; whoever gets none comes back later.
fn turn<'a>(walking: &'a Mutex<HashSet<TenantId>>, tenant: &TenantId) -> Result<Turn<'a>> {
    let mut held = walking.lock();
    if held.len() >= WALKS || held.contains(tenant) {
        let busy = "the audit trail is being verified as often as it can";
        return Err(Error::new(Code::Exhausted, "audit.busy", busy).retry_after(Duration::from_secs(10)));
    }
    held.insert(tenant.clone());
    Ok(Turn { walking, tenant: tenant.clone() })
}

// Held while walking; given back also when the caller goes away.
struct Turn<'a> {
    walking: &'a Mutex<HashSet<TenantId>>,
    tenant: TenantId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.walking.lock().remove(&self.tenant);
    }
}

#[async_trait]
impl Audit for Service {
    async fn search(&self, cx: &Cx, request: SearchAudit) -> Result<Page<AuditEntry>> {
        cx.permit_on("audit:read", &Facts::of("audit", ""))?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let search = Search {
            event_type: request.event_type,
            subject: request.subject,
            request_id: request.request_id,
            from: request.from,
            to: request.to,
            limit: limit + 1,
            after: request.after,
        };
        let mut items: Vec<_> = self.ledger.search(&cx.tenant, search).await?.into_iter().map(shown).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|entry| entry.id.clone());
        Ok(Page { items, next })
    }

    async fn verify(&self, cx: &Cx, _: VerifyAudit) -> Result<Verdict> {
        cx.permit_on("audit:read", &Facts::of("audit", ""))?;
        let _turn = turn(&self.walking, &cx.tenant)?;
        let found = nsl_ledger::verify(&self.db, Some(&cx.tenant), &self.key, None).await?;
        if !found.whole() {
            tracing::error!(tenant = %cx.tenant, faults = found.faults.len(), "the audit trail is not whole");
        }
        Ok(Verdict {
            whole: found.whole(),
            lanes: found.lanes,
            entries: found.entries,
            checkpoints: found.checkpoints,
            faults: found.faults,
        })
    }

    async fn refuse(&self, cx: &Cx, request: Refuse) -> Result<Refused> {
        if cx.principal.kind != PrincipalKind::System {
            return Err(Error::new(Code::Forbidden, "audit.platform_only", "only the platform reports refusals"));
        }
        if request.refusals.len() > MOST_REFUSALS {
            return Err(Error::invalid("audit.too_many", format!("at most {MOST_REFUSALS} refusals at once")));
        }
        let refusals = request.refusals.into_iter().map(|refusal| Refusal {
            tenant: refusal.tenant,
            subject: refusal.subject,
            ip: refusal.ip,
            reason: refusal.reason,
            service: refusal.service_name,
            method: refusal.method_name,
            status_code: refusal.status_code,
            count: refusal.count,
            at: refusal.at,
            facts: refusal.facts,
        });
        self.ledger.refuse(refusals.collect()).await?;
        Ok(Refused {})
    }
}

fn shown(found: Found) -> AuditEntry {
    AuditEntry {
        id: found.id,
        lane: found.lane,
        sequence: found.sequence,
        event_type: found.event_type,
        user_address: found.user_address,
        service_name: found.service_name,
        method_name: found.method_name,
        request_id: found.request_id,
        correlation_id: found.correlation_id,
        ip_address: found.ip_address,
        user_agent: found.user_agent,
        request_data: merged(found.request_data, found.personal),
        response_data: found.response_data,
        status_code: found.status_code,
        error_message: found.error_message,
        execution_time_ms: found.execution_time_ms,
        created_at: found.created_at,
        erased: found.erased,
        hash: found.hash,
    }
}

/// The facts of a request, those that were sealed among them.
fn merged(open: Option<Value>, sealed: Option<Value>) -> Option<Value> {
    match (open, sealed) {
        (Some(Value::Object(mut open)), Some(Value::Object(sealed))) => {
            open.extend(sealed);
            Some(Value::Object(open))
        }
        (open, sealed) => open.or(sealed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sealed_facts_stand_beside_the_open_ones() {
        assert_eq!(merged(Some(json!({"a": 1})), Some(json!({"key": "k"}))), Some(json!({"a": 1, "key": "k"})));
        assert_eq!(merged(None, Some(json!({"key": "k"}))), Some(json!({"key": "k"})));
        assert_eq!(merged(Some(json!({"a": 1})), None), Some(json!({"a": 1})));
        assert_eq!(merged(None, None), None);
    }

    #[test]
    fn one_walk_for_a_tenant_two_in_all_and_a_turn_comes_back() {
        let (walking, tenants) = (Mutex::default(), [TenantId::fresh(), TenantId::fresh(), TenantId::fresh()]);
        let first = turn(&walking, &tenants[0]).ok().unwrap();
        let second = turn(&walking, &tenants[1]).ok().unwrap();
        for refused in [&tenants[0], &tenants[2]] {
            let refused = turn(&walking, refused).err().unwrap();
            assert_eq!((refused.code, &*refused.slug), (Code::Exhausted, "audit.busy"));
            assert!(refused.retry_after_ms.is_some());
        }
        drop(first);
        let third = turn(&walking, &tenants[2]).ok().unwrap();
        drop((second, third));
        assert!(walking.lock().is_empty());
    }
}
