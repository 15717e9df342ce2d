use std::{borrow::Cow, sync::Arc};

use crate::{Cx, Subject, TenantId, Timestamp, fresh};

/// One line of evidence on its way into the audit trail. What is personal is sealed before it gets
/// here, so the trail can be kept when the person's key is gone.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub tenant: TenantId,
    /// What happened, in the past tense: `storage.value_stored`.
    pub event_type: Cow<'static, str>,
    pub subject: Option<Subject>,
    pub service: Cow<'static, str>,
    pub method: Cow<'static, str>,
    pub request_id: Option<String>,
    pub correlation_id: Option<Arc<str>>,
    /// Which data key seals the three fields below.
    pub seal_key: Option<Arc<str>>,
    pub ip_address: Option<Vec<u8>>,
    pub user_agent: Option<Vec<u8>>,
    /// Facts that may name a person, such as a storage key.
    pub personal: Option<Vec<u8>>,
    /// Facts that never do. Strings, whole numbers, booleans, nulls and maps of them only, so that
    /// every engine gives back what was hashed.
    pub request_data: serde_json::Map<String, serde_json::Value>,
    pub response_data: serde_json::Map<String, serde_json::Value>,
    pub status_code: Option<u16>,
    pub error_message: Option<String>,
    pub execution_time_ms: Option<i64>,
    pub at: Timestamp,
}

impl Entry {
    pub fn new(cx: &Cx, event_type: &'static str, service: &'static str, method: &'static str, at: Timestamp) -> Self {
        Self {
            id: fresh("aud"),
            tenant: cx.tenant.clone(),
            event_type: event_type.into(),
            subject: Some(cx.principal.subject.clone()),
            service: service.into(),
            method: method.into(),
            request_id: Some(cx.trace.request_id.as_str().to_owned()),
            correlation_id: cx.trace.correlation_id.clone(),
            seal_key: None,
            ip_address: None,
            user_agent: None,
            personal: None,
            request_data: serde_json::Map::new(),
            response_data: serde_json::Map::new(),
            status_code: None,
            error_message: None,
            execution_time_ms: None,
            at,
        }
    }

    /// Adds an allow-listed fact of the request.
    pub fn request(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.request_data.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an allow-listed fact of the outcome.
    pub fn response(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.response_data.insert(name.to_owned(), value.into());
        self
    }
}
