use std::{
    fmt::Write,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::BytesMut;
use nsl_core::{Code, Error};
use nsl_engine::limits::{Decision, Limits, Quota};

use crate::{config::LimitSettings, face::Class};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// How much each class may; replaced as a whole when the settings change.
#[derive(Debug)]
pub(crate) struct Budgets {
    general: Budget,
    keys: Budget,
    auth: Budget,
    anonymous: Budget,
}

#[derive(Debug)]
struct Budget {
    name: &'static str,
    quota: Quota,
    policy: HeaderValue,
}

impl Budget {
    fn new(name: &'static str, count: u32, window_s: u64) -> Self {
        let policy = format!("\"{name}\";q={count};w={window_s}");
        Self {
            name,
            quota: Quota::per(count, Duration::from_secs(window_s)),
            policy: policy.try_into().expect("a name and numbers are visible ASCII"),
        }
    }
}

/// What a request was told about its budget, for the headers of its answer.
pub(crate) struct Told {
    class: Class,
    policy: HeaderValue,
    decision: Decision,
}

impl Budgets {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        Self {
            general: Budget::new("general", settings.general_per_minute, 60),
            keys: Budget::new("keys", settings.keys_per_minute, 60),
            auth: Budget::new("auth", settings.auth_per_15_minutes, 900),
            anonymous: Budget::new("anonymous", settings.anonymous_per_minute, 60),
        }
    }

    fn of(&self, class: Class) -> &Budget {
        match class {
            Class::General => &self.general,
            Class::Keys => &self.keys,
            Class::Auth => &self.auth,
            Class::Anonymous => &self.anonymous,
        }
    }

    /// Charges one request.
    pub(crate) async fn charge(&self, limits: &Limits, class: Class, who: &str) -> Told {
        let budget = self.of(class);
        let decision = limits.check(budget.name, who, budget.quota, 1).await;
        Told { class, policy: budget.policy.clone(), decision }
    }

    /// Whether nothing is left; a question that costs nothing.
    pub(crate) async fn is_spent(&self, limits: &Limits, class: Class, who: &str) -> bool {
        let budget = self.of(class);
        let decision = limits.check(budget.name, who, budget.quota, 0).await;
        !decision.allowed || decision.remaining == 0
    }
}

impl Told {
    pub(crate) fn allowed(&self) -> bool {
        self.decision.allowed
    }

    pub(crate) fn refusal(&self) -> Error {
        let (limit, wait) = (self.class.name(), self.decision.retry_after);
        Error::new(Code::Exhausted, "limit.rate", format!("the {limit} rate limit is reached"))
            .detail("limit", limit)
            .retry_after(wait.max(Duration::from_millis(1)))
    }

    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        let mut state = BytesMut::with_capacity(32);
        let reset = self.decision.reset_after.as_millis().div_ceil(1_000);
        let written = write!(state, "\"{}\";r={};t={reset}", self.class.name(), self.decision.remaining);
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_maybe_shared(state.freeze())) {
            headers.insert(STATE, value);
        }
        headers.insert(POLICY, self.policy.clone());
    }
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Keys => "keys",
            Self::Auth => "auth",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who is counted where nobody has a name: an IPv4 address, or an IPv6 network of 64 bits, since a
/// single subscriber has all addresses of one.
pub(crate) fn address_key(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "a/unknown".to_owned(),
        Some(IpAddr::V4(v4)) => format!("a/{v4}"),
        Some(IpAddr::V6(v6)) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            format!("a/{}/64", Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_what_one_subscriber_has() {
        let key = |text: &str| address_key(Some(text.parse().unwrap()));
        assert_eq!(key("192.0.2.1"), "a/192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1"), "a/192.0.2.1");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "a/2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2::"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::"), key("2001:db8:1:3::"));
    }

    #[test]
    fn answers_tell_the_policy_and_what_is_left() {
        let decision = Decision {
            allowed: true,
            remaining: 998,
            reset_after: Duration::from_millis(120),
            retry_after: Duration::ZERO,
        };
        let settings = LimitSettings {
            general_per_minute: 1000,
            keys_per_minute: 100,
            anonymous_per_minute: 100,
            auth_per_15_minutes: 100,
        };
        let budgets = Budgets::new(&settings);
        let mut headers = HeaderMap::new();
        Told { class: Class::General, policy: budgets.general.policy.clone(), decision }.show(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"general\";q=1000;w=60");
        assert_eq!(headers["ratelimit"], "\"general\";r=998;t=1");
        assert_eq!(budgets.auth.policy, "\"auth\";q=100;w=900");
    }
}
