//! What persons ask about their data, in all services and tenants at once.

use nsl_core::{Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Page, Revealed};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// A copy of all that is held of the person.
    Export,
    /// All that is held of the person goes.
    Erasure,
    /// All that a tenant holds goes: its time is over. Opened by the platform alone.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataState {
    Open,
    Done,
    /// Something that is not the person's alone stood against it: `reason` says what.
    Failed,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenDataRequest {
    pub kind: DataKind,
    /// About whom; the caller when absent. Another needs `identity:admin`, and is meant in this tenant alone.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
    /// Needed to erase oneself where the account has a password and no second factor was shown in the last five minutes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Revealed>,
}

/// A request about a person's data, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DataRequest {
    /// `prv_...`
    pub id: String,
    pub kind: DataKind,
    /// Absent where a tenant is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
    /// The tenant that it is about; `platform` for the whole account of a person.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    pub state: DataState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub done_at: Option<Timestamp>,
    /// Until when the copy can be fetched, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub kept_until: Option<Timestamp>,
    /// How many services in how many tenants have to confirm, and how many have.
    pub parts: u32,
    pub parts_done: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameDataRequest {
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListDataRequests {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AskDataReport {}

/// How requests stand: of the tenant, or of the whole platform for its operators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DataReport {
    pub open: u64,
    /// Of the open ones, those whose time is over.
    pub overdue: u64,
    /// Of the open ones, those that are due within a week.
    pub due_soon: u64,
    pub done: u64,
    pub failed: u64,
    /// When the most urgent open one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due_at: Option<Timestamp>,
}

/// A stretch of the document, counted from 0: all of them one after the other are it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchDataExport {
    pub id: String,
    pub piece: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataExport {
    pub text: Revealed,
    pub is_last: bool,
}

nsl_rpc::service! {
    /// Sees to it that persons get a copy of their data, and that it goes when they want so.
    Privacy, PrivacyClient, "identity" {
        /// For the person; for an administrator about others, in this tenant alone.
        fn open_data_request(OpenDataRequest) -> DataRequest;
        /// For the person, and administrators of the tenant that it is about.
        read fn find_data_request(NameDataRequest) -> DataRequest;
        /// Newest first.
        read fn list_data_requests(ListDataRequests) -> Page<DataRequest>;
        /// Needs `identity:admin`; for the platform itself over all tenants.
        read fn data_report(AskDataReport) -> DataReport;
        /// For the person, or who asked for it about somebody who has no account.
        read fn fetch_data_export(FetchDataExport) -> DataExport;
    }
}

/// What one service has to do about a person in one tenant; on the queue, under the topic `privacy.<service>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataTask {
    pub request: String,
    /// The tenant that the request lies in.
    pub home: TenantId,
    pub kind: DataKind,
    pub service: String,
    /// Where the data is.
    pub tenant: TenantId,
    /// None: all of the tenant.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// What was made by then is meant.
    pub cutoff: Timestamp,
}

/// A service has done its task; on the queue, under the topic `privacy.done`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataDone {
    pub task: DataTask,
    pub outcome: DataOutcome,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataOutcome {
    /// What was copied or erased, as the service counts.
    #[serde(default)]
    pub items: u64,
    /// Why nothing was erased, and won't be.
    #[serde(default)]
    pub refused: Option<String>,
    /// Where the pieces of a copy lie.
    #[serde(default)]
    pub pieces: Vec<DataPiece>,
}

/// A sealed blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPiece {
    pub path: String,
    pub key_id: String,
}
