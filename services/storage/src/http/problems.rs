use nsl_edge::Entry;

/// The slugs that the service can send.
pub(super) const PROBLEMS: &[Entry] = &[
    Entry::new("storage.chain_unknown", 400, "the chain is unknown", "use neo-n3 or neo-x"),
    Entry::new("storage.key_empty", 400, "the key is empty", "use 1 to 256 of a-z A-Z 0-9 : _ -"),
    Entry::new("storage.key_too_long", 400, "the key is too long", "use 1 to 256 of a-z A-Z 0-9 : _ -"),
    Entry::new("storage.subject_reserved", 400, "the subject is a name of the platform", "name a person or a machine"),
    Entry::new("storage.key_malformed", 400, "the key has wrong characters", "use 1 to 256 of a-z A-Z 0-9 : _ -"),
    Entry::new("storage.value_malformed", 400, "the value is not JSON", "send any JSON value"),
    Entry::new("storage.value_too_large", 413, "the value is too large", "keep values within 1,048,576 bytes of JSON"),
    Entry::new("storage.metadata_too_large", 413, "the metadata is too large", "keep metadata within 16,384 bytes"),
    Entry::new("storage.metadata_malformed", 400, "the metadata is not a JSON object", "send an object"),
    Entry::new(
        "storage.shared_too_widely",
        400,
        "shared with too many",
        "name at most 100 subjects, or use access \"tenant\"",
    ),
    Entry::new(
        "storage.shared_with_nobody",
        400,
        "subjects are named, but nothing is shared with them",
        "send access \"shared\" together with shared_with, or leave shared_with out",
    ),
    Entry::new("storage.expiry_past", 400, "the expiry is not in the future", "name a time that lies ahead"),
    Entry::new(
        "storage.retention_malformed",
        400,
        "the retention lock ends too late",
        "name a time before the year 10000",
    ),
    Entry::new(
        "storage.expires_locked",
        400,
        "the value would expire while it is locked",
        "let the expiry lie at or after the end of the retention lock",
    ),
    Entry::new("storage.batch_size", 400, "the batch has too few or too many items", "send 1 to 100 items at once"),
    Entry::new(
        "storage.batch_too_large",
        413,
        "the batch is too large",
        "store or fetch at most 3 MiB of values at once",
    ),
    Entry::new("storage.etag_malformed", 400, "an entity tag has a wrong form", "send the ETag of an earlier reply"),
    Entry::new("storage.not_found", 404, "there is no such value for this caller", "check chain, owner and key"),
    Entry::new("storage.version_not_found", 404, "there is no such version", "list the versions of the key"),
    Entry::new(
        "storage.version_conflict",
        409,
        "another version is the current one",
        "read the value again and decide anew",
    ),
    Entry::new(
        "storage.precondition_failed",
        412,
        "another version is the current one",
        "read the value again and decide anew",
    ),
    Entry::new(
        "storage.retained",
        409,
        "a retention lock holds the value",
        "wait until the lock ends; it may be moved out, never in",
    ),
    Entry::new(
        "storage.quota_bytes",
        507,
        "the tenant's quota of bytes is used up",
        "delete what is not needed, or have quota.bytes raised",
    ),
    Entry::new(
        "storage.quota_items",
        507,
        "the tenant's quota of items is used up",
        "delete what is not needed, or have quota.items raised",
    ),
    Entry::new("storage.moved", 503, "the value changes too often just now", "try again"),
    Entry::new("storage.request_open", 409, "such a request is open", "wait until the open request is finished"),
    Entry::new("storage.requests_many", 429, "the tenant has too many open requests", "wait until some are finished"),
    Entry::new("storage.request_not_found", 404, "there is no such request", "list the requests to see their ids"),
    Entry::new(
        "storage.export_not_found",
        404,
        "there is no finished export",
        "wait until the request is done; exports are kept for a limited time",
    ),
    Entry::new("keyring.key_gone", 503, "the data key was just destroyed", "try again"),
    Entry::new("sql.collision", 503, "another write was in the way", "try again after the given wait"),
    Entry::new("blobs.unavailable", 503, "blobs cannot be reached", "try again after the given wait"),
];

#[cfg(test)]
mod tests {
    use nsl_edge::{Catalogue, unlisted};

    #[test]
    fn every_slug_of_the_service_is_explained() {
        let known = Catalogue::with(super::PROBLEMS.iter().copied());
        for source in [
            include_str!("../rules.rs"),
            include_str!("../service.rs"),
            include_str!("../privacy.rs"),
            include_str!("../store/desk.rs"),
            include_str!("../store/slot.rs"),
            include_str!("../store/privacy.rs"),
            include_str!("preconditions.rs"),
            include_str!("../../../../crates/api/src/storage.rs"),
        ] {
            assert_eq!(unlisted(source, &known), Vec::<String>::new());
        }
    }
}
