use std::sync::Arc;

use nsl_core::{Result, TenantId, Timestamp};
use nsl_sql::{Row, Scope, args};

use crate::ledger::{Ledger, place};

/// Which entries of one tenant, newest first.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub event_type: Option<String>,
    pub subject: Option<String>,
    pub request_id: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: u32,
    /// The id of the last entry of the page before.
    pub after: Option<String>,
}

/// An entry as it was found, its personal fields opened where their key still exists.
#[derive(Clone, Debug)]
pub struct Found {
    pub lane: String,
    pub sequence: i64,
    pub id: String,
    pub event_type: String,
    pub user_address: Option<String>,
    pub service_name: String,
    pub method_name: String,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub personal: Option<serde_json::Value>,
    pub request_data: Option<serde_json::Value>,
    pub response_data: Option<serde_json::Value>,
    pub status_code: Option<i64>,
    pub error_message: Option<String>,
    pub execution_time_ms: Option<i64>,
    pub created_at: Timestamp,
    /// There were personal fields, and their key is gone.
    pub erased: bool,
    pub hash: String,
}

static SEARCH: &str = "SELECT lane, sequence, id, event_type, user_address, service_name, method_name, request_id,
        correlation_id, ip_address, user_agent, personal, request_data, response_data, status_code, error_message,
        execution_time_ms, created_at, key_id, hash
    FROM audit_logs WHERE tenant_id = $1 AND id < $2 AND created_at >= $3 AND created_at <= $4
      AND ($5 = '' OR event_type = $5) AND ($6 = '' OR user_address = $6) AND ($7 = '' OR request_id = $7)
    ORDER BY id DESC LIMIT $8";

// Where times end that both engines can hold.
const ALWAYS: Timestamp = Timestamp(253_402_300_799_000_000);

impl Ledger {
    pub async fn search(&self, tenant: &TenantId, search: Search) -> Result<Vec<Found>> {
        let args = args![
            tenant,
            search.after.unwrap_or_else(|| "b".to_owned()),
            search.from.unwrap_or(Timestamp(0)),
            search.to.unwrap_or(ALWAYS),
            search.event_type.unwrap_or_default(),
            search.subject.unwrap_or_default(),
            search.request_id.unwrap_or_default(),
            search.limit,
        ];
        let mut found = Vec::new();
        for row in self.db.scan(Scope::Tenant(tenant), SEARCH, args).await? {
            found.push(self.open(tenant, row).await?);
        }
        Ok(found)
    }

    async fn open(&self, tenant: &TenantId, mut row: Row) -> Result<Found> {
        let id: String = row.take(2)?;
        let sealed: [Option<Vec<u8>>; 3] = [row.take(9)?, row.take(10)?, row.take(11)?];
        let key_id: Option<String> = row.take(18)?;
        let key = match key_id.map(Arc::from) {
            Some(key_id) => self.keyring.find(tenant, &key_id).await?,
            None => None,
        };
        let erased = key.is_none() && sealed.iter().any(Option::is_some);
        let mut opened = [None, None, None];
        for ((place_in, sealed), column) in opened.iter_mut().zip(sealed).zip(["ip_address", "user_agent", "personal"])
        {
            // A field that does not open was tampered with, which `verify` names; here it is just not shown.
            *place_in = key
                .as_ref()
                .zip(sealed)
                .and_then(|(key, sealed)| key.open(&place(tenant, &id, column), &sealed).ok())
                .and_then(|plain| String::from_utf8(plain).ok());
        }
        let [ip_address, user_agent, personal] = opened;
        Ok(Found {
            lane: row.take(0)?,
            sequence: row.take(1)?,
            id,
            event_type: row.take(3)?,
            user_address: row.take(4)?,
            service_name: row.take(5)?,
            method_name: row.take(6)?,
            request_id: row.take(7)?,
            correlation_id: row.take(8)?,
            ip_address,
            user_agent,
            personal: personal.and_then(|text| serde_json::from_str(&text).ok()),
            request_data: row.take(12)?,
            response_data: row.take(13)?,
            status_code: row.take(14)?,
            error_message: row.take(15)?,
            execution_time_ms: row.take(16)?,
            created_at: row.take(17)?,
            erased,
            hash: hex::encode(row.take::<Vec<u8>>(19)?),
        })
    }
}
