use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Part of a list. `next` goes back as `after` to get what follows; it is absent on the last page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A secret on its one way to the person who asked for it: it serialises, but never prints.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = String)]
pub struct Revealed(pub String);

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
