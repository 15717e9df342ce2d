use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_core::{Principal, PrincipalKind, Subject, TenantId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Known,
    jwks::{Algorithm, KeySet, Lookup},
};
use crate::config::JwtSettings;

/// Longer tokens are refused unread.
const LONGEST: usize = 8 * 1024;
/// Clocks may differ by so much.
const LEEWAY_S: i64 = 30;
/// Header fields that would let a token bring its own key or change how it is read.
const REFUSED_FIELDS: [&str; 7] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"];
const MOST_SCOPES: usize = 256;

/// Why a token was refused, for the log and the problem's details; it names no value of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Form(&'static str),
    UnknownKey,
    Signature,
    Expired,
    Claim(&'static str),
}

/// A token whose form is right and whose key is named, before anything in it is believed.
pub(crate) struct Presented<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl<'a> Presented<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Unfit> {
        if token.len() > LONGEST {
            return Err(Unfit::Form("length"));
        }
        let parts: [&str; 3] = token.splitn(4, '.').collect::<Vec<_>>().try_into().map_err(|_| Unfit::Form("parts"))?;
        let [header, payload, signature] = parts;
        let text = URL_SAFE_NO_PAD.decode(header).map_err(|_| Unfit::Form("header"))?;
        let header_fields: Header = crate::strict::parse(&text).map_err(|_| Unfit::Form("header"))?;
        let Header { alg, typ, kid, rest } = header_fields;
        if rest.keys().any(|field| REFUSED_FIELDS.contains(&field.as_str())) {
            return Err(Unfit::Form("header field"));
        }
        let kind = typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt") {
            return Err(Unfit::Form("typ"));
        }
        if rest.contains_key("cty") {
            return Err(Unfit::Form("cty"));
        }
        let algorithm = Algorithm::parse(&alg).ok_or(Unfit::Form("alg"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unfit::Form("signature"))?;
        let signed = &token[..header.len() + 1 + payload.len()];
        Ok(Self { signed, payload, signature, algorithm, key: kid })
    }

    /// Checks the signature, then the claims. `UnknownKey` asks for a fresh key set.
    pub(crate) fn check(&self, keys: &KeySet, settings: &JwtSettings, now: Timestamp) -> Result<Known, Unfit> {
        let key = match keys.find(self.key.as_deref(), self.algorithm) {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(Unfit::UnknownKey),
            Lookup::Mismatched => return Err(Unfit::Signature),
        };
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(Unfit::Signature);
        }
        let text = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| Unfit::Form("payload"))?;
        let claims: Map<String, Value> = crate::strict::parse(&text).map_err(|_| Unfit::Form("payload"))?;
        read_claims(&claims, settings, now)
    }
}

fn read_claims(claims: &Map<String, Value>, settings: &JwtSettings, now: Timestamp) -> Result<Known, Unfit> {
    let now_s = now.0.div_euclid(1_000_000);
    let expires = seconds(claims, "exp")?.ok_or(Unfit::Claim("exp"))?;
    if expires.saturating_add(LEEWAY_S) <= now_s {
        return Err(Unfit::Expired);
    }
    for early in ["nbf", "iat"] {
        if seconds(claims, early)?.is_some_and(|from| from > now_s.saturating_add(LEEWAY_S)) {
            return Err(Unfit::Claim(early));
        }
    }
    if text(claims, "iss").ok_or(Unfit::Claim("iss"))? != settings.issuer {
        return Err(Unfit::Claim("iss"));
    }
    let meant_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => *audience == settings.audience,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| *audience == settings.audience),
        _ => false,
    };
    if !meant_for_us {
        return Err(Unfit::Claim("aud"));
    }
    let subject = text(claims, "sub").and_then(|id| Subject::parse(id).ok()).ok_or(Unfit::Claim("sub"))?;
    let tenant =
        text(claims, &settings.tenant_claim).and_then(|id| TenantId::parse(id).ok()).ok_or(Unfit::Claim("tenant"))?;
    // What has the name of a part of the platform can't be had from outside.
    if subject.is_reserved() {
        return Err(Unfit::Claim("sub"));
    }
    if tenant.is_reserved() {
        return Err(Unfit::Claim("tenant"));
    }
    let credential: Arc<str> = match claims.get("jti") {
        None => "token".into(),
        Some(Value::String(id)) if !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic()) => {
            id.as_str().into()
        }
        Some(_) => return Err(Unfit::Claim("jti")),
    };
    let last_moment = Timestamp(expires.saturating_add(LEEWAY_S).saturating_mul(1_000_000));
    let principal = Principal {
        kind: PrincipalKind::Token,
        subject,
        credential,
        scopes: scopes(claims, &settings.scope_claim)?,
        expires_at: Some(last_moment),
        session: None,
        second_factor_at: None,
        actor: None,
    };
    Ok(Known::new(tenant, principal, Some(last_moment)))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Unfit> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| value.as_f64().filter(|v| v.abs() < 1e15).map(|v| v.floor() as i64));
    whole.filter(|&at| at >= 0).map(Some).ok_or(Unfit::Claim(name))
}

// A string with spaces between (RFC 8693) or a list of strings.
fn scopes(claims: &Map<String, Value>, name: &str) -> Result<Arc<[String]>, Unfit> {
    let words: Vec<&str> = match claims.get(name) {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(list)) => {
            list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Unfit::Claim("scope"))?
        }
        Some(_) => return Err(Unfit::Claim("scope")),
    };
    if words.len() > MOST_SCOPES {
        return Err(Unfit::Claim("scope"));
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::shown::Shown;

    #[test]
    fn who_comes_by_a_token_is_known_to_end_with_it() {
        let settings = JwtSettings {
            jwks: String::new(),
            issuer: "i".into(),
            audience: "a".into(),
            tenant_claim: "tenant".into(),
            scope_claim: "scope".into(),
            max_age: std::time::Duration::ZERO,
            stale: std::time::Duration::ZERO,
        };
        let claims = serde_json::json!({ "exp": 100, "iss": "i", "aud": "a", "sub": "alice", "tenant": "ten_1" });
        let known = read_claims(claims.as_object().expect("made as one"), &settings, Timestamp(0)).unwrap();
        assert_eq!(known.principal.expires_at, Some(Timestamp(130_000_000)));
        assert_eq!(known.principal.expires_at, known.expires_at);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,60}(\\.\\PC{0,60}){0,4}", header in "\\PC{0,80}") {
            let _ = Presented::parse(&text);
            let _ = Presented::parse(&format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(&header)));
            let mut headers = axum::http::HeaderMap::new();
            if let Ok(value) = axum::http::HeaderValue::from_bytes(text.as_bytes()) {
                headers.insert("authorization", value);
                let _ = Shown::of(&headers);
            }
        }

        #[test]
        fn no_claims_break_the_reader(exp in any::<f64>(), name in "exp|nbf|iat|iss|aud|sub|tenant|scope|jti", text: String) {
            let settings = JwtSettings {
                jwks: String::new(),
                issuer: text.clone(),
                audience: text.clone(),
                tenant_claim: "tenant".into(),
                scope_claim: "scope".into(),
                max_age: std::time::Duration::ZERO,
                stale: std::time::Duration::ZERO,
            };
            let mut claims = serde_json::json!({
                "exp": exp, "iss": text, "aud": text, "sub": "a", "tenant": "t", "scope": text, "jti": "j",
            });
            claims[name] = Value::from(text);
            for now in [0, i64::MIN, i64::MAX] {
                let claims = claims.as_object().expect("made as one");
                let _ = read_claims(claims, &settings, Timestamp(now));
            }
        }
    }
}
